DROP DATABASE IF EXISTS TRT_perf;
CREATE DATABASE TRT_perf CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
USE TRT_perf;
CREATE TABLE runs (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, start_time datetime, end_time datetime, driver varchar(150) NOT NULL,
  cuda varchar(150) NOT NULL, cudnn varchar(150) NOT NULL DEFAULT '', tensorrt varchar(150) NOT NULL, gpu varchar(150) NOT NULL,
  graphic_freq varchar(150) NOT NULL, memory_freq varchar(150) NOT NULL, cpu varchar(150), cl varchar(150), os varchar(150) NOT NULL,
  notes varchar(2000), cublas varchar(150), link varchar(2000), vbios varchar(150), trtllm varchar(150), commit_time text);
CREATE TABLE cases (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, cmd varchar(2000) NOT NULL, batchsize int unsigned NOT NULL,
  format varchar(150) NOT NULL, network varchar(150) NOT NULL, `precision` varchar(50) NOT NULL);
CREATE TABLE perf_result (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, UUID varchar(1500), case_id int unsigned NOT NULL,
  run_id int unsigned NOT NULL, gpu_time float(16,6) NOT NULL, total_time float(16,6), fp16_vs_fp32 float(16,6), int8_vs_fp16 float(16,6),
  int8_vs_fp32 float(16,6), build_time float(16,6), perf_data json, perf_baseline json, throughput float(16,6), log longtext,
  KEY (case_id), KEY (run_id));
