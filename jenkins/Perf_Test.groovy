// TensorRT-LLM performance tests as a Jenkins build: choose a test or a list, run it on a cluster, bring the results into CSVs and stores.
// What to set up, and what each parameter means: docs/jenkins.md.
//
// No parameter is ever pasted into shell text: values reach the shell as environment variables, and the texts of the sh steps are fixed.

// The values of this build: parameters, which are null on a job's first build, with their defaults.
def parameter(String name, String otherwise = '') {
    def value = params[name]
    return value == null || value.toString().trim() == '' ? otherwise : value.toString().trim()
}

def truth(String name, boolean otherwise) {
    def value = params[name]
    return value == null ? otherwise : value.toString() == 'true'
}

// What a parameter may hold, and what to write instead. One row for each parameter of free text.
def rules() {
    return [
        [name: 'CONFIG_FILE',        pattern: '[A-Za-z0-9_.,:+/-]*(\\.ya?ml)?',   say: 'the name of a YAML configuration, without its folder'],
        [name: 'PYTEST_K',           pattern: '[^\\r\\n]*',                       say: 'one line: a pytest -k expression'],
        [name: 'TRTLLM_REPO',        pattern: '(https://|ssh://|git@|file:///)[^\\s-][^\\s]*', say: 'an https://, ssh:// or git@ address'],
        [name: 'TRTLLM_BRANCH',      pattern: '[A-Za-z0-9_][A-Za-z0-9_./+-]*',    say: 'a branch, a tag or a commit'],
        [name: 'DOCKER_IMAGE',       pattern: '[^\\s]*',                          say: 'an image without blanks'],
        [name: 'CLUSTER',            pattern: '[A-Za-z0-9_.-]+',                  say: 'a name of the cluster table'],
        [name: 'PERF_TEST_MODULE',   pattern: '([A-Za-z0-9_./-]+\\.py)?',         say: 'a Python file below tests/integration/defs'],
        [name: 'PERF_TEST_FUNCTION', pattern: '([A-Za-z_][A-Za-z0-9_]*)?',        say: 'the name of a test function'],
        [name: 'PERF_TEST_PREFIX',   pattern: '[A-Za-z0-9_]*',                    say: 'letters, digits and "_": the text before the first "-" of the test id'],
    ]
}

def defaults() {
    return [CONFIG_FILE: '', PYTEST_K: '', TRTLLM_REPO: 'https://github.com/NVIDIA/TensorRT-LLM.git', TRTLLM_BRANCH: 'main', DOCKER_IMAGE: '',
            CLUSTER: 'gb300', PERF_TEST_MODULE: '', PERF_TEST_FUNCTION: '', PERF_TEST_PREFIX: '']
}

// The environment of the shell steps.
def settings() {
    def known = defaults()
    def values = []
    def wrong = []
    for (rule in rules()) {
        def value = parameter(rule.name, known[rule.name])
        if (!(value ==~ rule.pattern)) {
            wrong << "${rule.name}: write ${rule.say}"
        }
        values << "${rule.name}=${value}".toString()
    }
    if (params.TESTLIST == null) {
        error('This build has registered the parameters of the job, and did nothing else: start the next one with parameters.')
    }
    def list = parameter('TESTLIST')
    if (!(list in ['gb200_unified_suite', 'gb300_unified_suite', 'debug_cases', 'manual'])) {
        wrong << 'TESTLIST: choose one of the list'
    }
    def filter = parameter('FILTER_MODE', 'all')
    if (!(filter in ['all', 'single-agg', 'multi-agg', 'disagg'])) {
        wrong << 'FILTER_MODE: choose all, single-agg, multi-agg or disagg'
    }
    def mode = parameter('MANUAL_TEST_MODE', 'single-agg')
    if (!(mode in ['single-agg', 'multi-agg', 'disagg'])) {
        wrong << 'MANUAL_TEST_MODE: choose single-agg, multi-agg or disagg'
    }
    if (list == 'manual' && parameter('CONFIG_FILE') == '') {
        wrong << 'CONFIG_FILE: name a configuration, or choose a test list'
    }
    if (wrong) {
        error("This build was not started, since its parameters do not fit:\n" + wrong.join('\n'))
    }
    return values + [
        "TESTLIST=${list}".toString(),
        "FILTER_MODE=${filter == 'all' ? '' : filter}".toString(),
        "MANUAL_TEST_MODE=${mode}".toString(),
        "DRY_RUN=${truth('DRY_RUN', false) ? 'yes' : ''}".toString(),
        // Without upload results stay in the CSVs and the local store.
        "UPLOAD=${truth('UPLOAD_TO_TRTPERF', true) ? 'yes' : ''}".toString(),
    ]
}

// The credentials that the job's environment names: identifiers of Jenkins' store, never values.
def secrets() {
    def bound = []
    if (env.TRTPERF_OPENSEARCH_CREDENTIALS) {
        bound << usernamePassword(credentialsId: env.TRTPERF_OPENSEARCH_CREDENTIALS, usernameVariable: 'TRTPERF_OPENSEARCH_USER',
                passwordVariable: 'TRTPERF_OPENSEARCH_PASSWORD')
    }
    if (env.TRTPERF_MYSQL_CREDENTIALS) {
        bound << usernamePassword(credentialsId: env.TRTPERF_MYSQL_CREDENTIALS, usernameVariable: 'TRTPERF_MYSQL_USER',
                passwordVariable: 'TRTPERF_MYSQL_PASSWORD')
    }
    if (env.TRTPERF_SSH_CREDENTIALS) {
        bound << sshUserPrivateKey(credentialsId: env.TRTPERF_SSH_CREDENTIALS, keyFileVariable: 'TRTPERF_SSH_KEY')
    }
    return bound
}

// What trtperf's exit code makes of the build. 5: a test failed; 6: a delivery is owed, and the next build resumes it.
def judge(int code) {
    if (code == 5 || code == 6) {
        unstable("trtperf ended with exit code ${code}: ${code == 5 ? 'a test or a result failed' : 'a delivery is still owed; it is kept, and the next build sends it'}")
    } else if (code != 0) {
        error("trtperf ended with exit code ${code}; docs/exit-codes.md says what each means")
    }
}

pipeline {
    agent any

    parameters {
        choice(name: 'TESTLIST', choices: ['gb200_unified_suite', 'gb300_unified_suite', 'debug_cases', 'manual'], description: 'A test list, or manual for one configuration')
        choice(name: 'FILTER_MODE', choices: ['all', 'single-agg', 'multi-agg', 'disagg'], description: 'Of a list: only the tests of one mode')
        string(name: 'PYTEST_K', defaultValue: '', description: 'Of a list: only the tests that a pytest -k expression selects')
        choice(name: 'CLUSTER', choices: ['gb300', 'gb200', 'gb200_lyris'], description: 'The cluster to run on')
        string(name: 'CONFIG_FILE', defaultValue: '', description: 'With manual: the YAML configuration, without ".yaml"')
        choice(name: 'MANUAL_TEST_MODE', choices: ['single-agg', 'multi-agg', 'disagg'], description: 'With manual: the mode')
        string(name: 'TRTLLM_REPO', defaultValue: 'https://github.com/NVIDIA/TensorRT-LLM.git', description: 'TensorRT-LLM repository')
        string(name: 'TRTLLM_BRANCH', defaultValue: 'main', description: 'Branch, tag or commit')
        string(name: 'DOCKER_IMAGE', defaultValue: '', description: 'Container image; empty: that of the cluster')
        string(name: 'PERF_TEST_MODULE', defaultValue: '', description: 'Test file below tests/integration/defs/; empty: perf/test_perf_sanity.py')
        string(name: 'PERF_TEST_FUNCTION', defaultValue: '', description: 'Test function; empty: test_e2e')
        string(name: 'PERF_TEST_PREFIX', defaultValue: '', description: 'Prefix of the test id, for disagg; empty: disagg_upload')
        booleanParam(name: 'UPLOAD_TO_TRTPERF', defaultValue: true, description: 'Deliver valid results to the stores of TRTPERF_TO')
        booleanParam(name: 'DRY_RUN', defaultValue: false, description: 'Show what would be done, and do nothing')
    }

    options {
        timestamps()
        timeout(time: 24, unit: 'HOURS')
        disableConcurrentBuilds()
        buildDiscarder(logRotator(numToKeepStr: '30'))
    }

    stages {
        stage('Sources') {
            steps {
                script {
                    withEnv(settings()) {
                        sh(label: 'check out TensorRT-LLM', script: '''
                            set -eu
                            mkdir -p TensorRT-LLM
                            cd TensorRT-LLM
                            [ -d .git ] || git init -q .
                            git fetch -q --depth 1 --force -- "$TRTLLM_REPO" "$TRTLLM_BRANCH"
                            git checkout -q --force --detach FETCH_HEAD
                            git clean -qffdx
                        ''')
                    }
                }
            }
        }
        stage('Test') {
            steps {
                script {
                    def code = 0
                    withEnv(settings()) {
                        withCredentials(secrets()) {
                            code = sh(label: 'launch, process, collect', returnStatus: true, script: '''
                                set -u
                                trtperf=${TRTPERF_COMMAND:-trtperf}
                                # What is owed to the stores outlives the workspace.
                                : "${TRTPERF_DB:=${HOME:?}/.local/state/trtperf/trtperf.db}"
                                export TRTPERF_DB
                                mkdir -p "$(dirname "$TRTPERF_DB")" || exit 2
                                TRTLLM_COMMIT=$(git -C TensorRT-LLM rev-parse HEAD) || exit 2
                                export TRTLLM_COMMIT
                                out=output_$BUILD_NUMBER
                                set -- --cluster "$CLUSTER" --tree TensorRT-LLM --workspace "$out/run"
                                if [ "$TESTLIST" = manual ]; then
                                    set -- "$@" --mode "$MANUAL_TEST_MODE" -- "$CONFIG_FILE"
                                else
                                    list=
                                    for ending in yml yaml txt; do
                                        file=${TESTLISTS_DIR:-testlists}/$TESTLIST.$ending
                                        [ ! -f "$file" ] || list=$file
                                    done
                                    [ -n "$list" ] || { echo "no test list $TESTLIST.yml, .yaml or .txt in ${TESTLISTS_DIR:-testlists}" >&2; exit 2; }
                                    set -- "$@" ${FILTER_MODE:+--mode "$FILTER_MODE"} ${PYTEST_K:+"--keyword=$PYTEST_K"} -- "$list"
                                fi
                                [ -z "$DOCKER_IMAGE" ] || set -- --image "$DOCKER_IMAGE" "$@"
                                # Not even the targets of a settings file.
                                [ -n "$UPLOAD" ] || set -- --to= "$@"
                                if [ -n "$DRY_RUN" ]; then
                                    exec "$trtperf" launch --dry-run "$@"
                                fi
                                if [ -s "$TRTPERF_DB" ] && [ -n "$UPLOAD" ]; then
                                    # What earlier builds still owe. That it is still owed is no fault of this build.
                                    "$trtperf" upload --resume || echo "earlier deliveries: exit code $?"
                                fi
                                mkdir -p "$out" || exit 2
                                exec "$trtperf" launch --process --output-dir "$out" --layout guide,metric-rows,full --summary "$out/summary.md" \\
                                    --collect --archive "$out/logs.tar.zst" "$@"
                            ''')
                        }
                    }
                    judge(code)
                }
            }
        }
    }

    post {
        always {
            script {
                if (!truth('DRY_RUN', false)) {
                    def out = "output_${env.BUILD_NUMBER}"
                    // Of a list the file that holds each of its tests once.
                    junit(testResults: "${out}/run/trtperf-set.xml, ${out}/run/results*.xml", allowEmptyResults: true)
                    archiveArtifacts(artifacts: "${out}/*.csv, ${out}/summary.md, ${out}/logs.tar.zst, ${out}/run/trtperf-set.*, ${out}/run/**/plan.json, " +
                            "${out}/run/**/results*.xml, ${out}/run/**/*.csv", allowEmptyArchive: true, fingerprint: true)
                    if (fileExists("${out}/summary.md")) {
                        currentBuild.description = readFile("${out}/summary.md")
                    }
                }
            }
        }
        cleanup {
            // The five newest runs stay.
            sh(label: 'clean up', script: '''
                set -eu
                for old in $(ls -1dt output_*/ 2>/dev/null | tail -n +6); do
                    rm -rf -- "$old"
                done
            ''')
        }
    }
}
