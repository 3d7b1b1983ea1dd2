package build_test

import (
	"encoding/json"
	"testing"

	"github.com/trtperf/trtperf/parse/build"
)

func TestFromEnvironment(t *testing.T) {
	const preMerge = `{"github_pr_api_url":"https://api.github.com/repos/NVIDIA/TensorRT-LLM/pulls/1234","action_info":{"parents":[
		{"url":"https://ci/job/other/","build_number":1},{"url":"https://ci/job/LLM/job/main/job/L0_MergeRequest_PR/77/","build_number":"77"}],
		"trigger_info":"<a href=\"x\" target=\"_blank\">somebody</a><br/>Git Commit: abc"}}`
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"outside of CI": {nil, `{}`},
		"started by hand": {map[string]string{"BUILD_ID": "9", "BUILD_URL": "https://ci/job/Perf_Test/9/", "JOB_NAME": "Perf_Test", "HOST_NODE_NAME": "relay",
			"TRTLLM_BRANCH": "release/1.2", "TRTLLM_COMMIT": "abc"},
			`{"commit":"abc","link":"https://ci/job/Perf_Test/9/","build":{"id":"9","url":"https://ci/job/Perf_Test/9/","job_name":"Perf_Test","branch":"release/1.2","host":"relay","post_merge":false,"pull_request":false,"trigger_commit":"abc"}}`},
		"pre-merge": {map[string]string{"BUILD_URL": "https://ci/job/x/3/", "gitlabCommit": "abc", "TRTLLM_COMMIT": "other", "stageName": "GB200-4_GPUs-1", "globalVars": preMerge},
			`{"commit":"abc","link":"https://ci/job/LLM/job/main/job/L0_MergeRequest_PR/77/","build":{"url":"https://ci/job/x/3/","job_id":"77","job_url":"https://ci/job/LLM/job/main/job/L0_MergeRequest_PR/77/","branch":"github-pr-1234","stage":"GB200-4_GPUs-1","post_merge":false,"pull_request":true,"trigger_user":"somebody","trigger_link":"https://github.com/NVIDIA/TensorRT-LLM/pull/1234","trigger_id":"1234","trigger_commit":"abc"}}`},
		"post-merge": {map[string]string{"globalVars": `{"build_branch":"release/1.1","action_info":{"parents":[{"url":"https://ci/job/LLM/job/main/job/L0_PostMerge/1041/","build_number":1041}]}}`},
			`{"link":"https://ci/job/LLM/job/main/job/L0_PostMerge/1041/","build":{"job_id":"1041","job_url":"https://ci/job/LLM/job/main/job/L0_PostMerge/1041/","branch":"release/1.1","post_merge":true,"pull_request":false}}`},
		"post-merge without a branch of its own": {map[string]string{"globalVars": `{"build_branch":null,"action_info":{"parents":[{"url":"https://ci/job/LLM/job/main/job/L0_PostMerge/5/"}]}}`},
			`{"link":"https://ci/job/LLM/job/main/job/L0_PostMerge/5/","build":{"job_url":"https://ci/job/LLM/job/main/job/L0_PostMerge/5/","branch":"main","post_merge":true,"pull_request":false}}`},
		"no JSON": {map[string]string{"globalVars": `{'build_branch': 1`, "BUILD_ID": "2"}, `{"build":{"id":"2"}}`},
	} {
		got, err := json.Marshal(build.FromEnvironment(func(name string) string { return c.env[name] }))
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s (error %v)", name, got, c.want, err)
		}
	}
}
