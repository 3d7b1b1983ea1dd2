// trtperfProcess(dir: 'output'): for pipelines that start their tests themselves: reads what a test left behind, writes the CSVs, delivers to
// the stores, and publishes results and artifacts. What it takes, with its defaults: docs/jenkins.md.
//
// Values reach the shell as environment variables; the text of the sh step is fixed.
def call(Map given = [:]) {
    def known = [dir: '.', output: 'trtperf', to: env.TRTPERF_TO ?: '', mode: '', opensearchCredentials: '', mysqlCredentials: '', publish: true]
    def unknown = given.keySet() - known.keySet()
    if (unknown) {
        error("trtperfProcess: unknown ${unknown.join(', ')}; it takes ${known.keySet().join(', ')}")
    }
    def take = known + given
    def bound = []
    if (take.opensearchCredentials) {
        bound << usernamePassword(credentialsId: take.opensearchCredentials, usernameVariable: 'TRTPERF_OPENSEARCH_USER', passwordVariable: 'TRTPERF_OPENSEARCH_PASSWORD')
    }
    if (take.mysqlCredentials) {
        bound << usernamePassword(credentialsId: take.mysqlCredentials, usernameVariable: 'TRTPERF_MYSQL_USER', passwordVariable: 'TRTPERF_MYSQL_PASSWORD')
    }
    def code = 0
    withEnv(["TRTPERF_RUN=${take.dir}".toString(), "TRTPERF_OUTPUT_DIR=${take.output}".toString(), "TRTPERF_TO=${take.to}".toString(), "TRTPERF_MODE=${take.mode}".toString()]) {
        withCredentials(bound) {
            code = sh(label: 'trtperf process', returnStatus: true, script: '''
                set -u
                : "${TRTPERF_DB:=${HOME:?}/.local/state/trtperf/trtperf.db}"
                export TRTPERF_DB
                mkdir -p "$(dirname "$TRTPERF_DB")" "$TRTPERF_OUTPUT_DIR" || exit 2
                exec "${TRTPERF_COMMAND:-trtperf}" process --build-env --layout guide,metric-rows,full --summary "$TRTPERF_OUTPUT_DIR/summary.md" -- "$TRTPERF_RUN"
            ''')
        }
    }
    if (take.publish) {
        junit(testResults: "${take.dir}/**/results*.xml", allowEmptyResults: true)
        archiveArtifacts(artifacts: "${take.output}/*.csv, ${take.output}/summary.md", allowEmptyArchive: true, fingerprint: true)
        if (fileExists("${take.output}/summary.md")) {
            currentBuild.description = readFile("${take.output}/summary.md")
        }
    }
    if (code == 5 || code == 6) {
        unstable("trtperf process ended with exit code ${code}: ${code == 5 ? 'a test or a result failed' : 'a delivery is still owed; it is kept, and the next build sends it'}")
    } else if (code != 0) {
        error("trtperf process ended with exit code ${code}; docs/exit-codes.md says what each means")
    }
    return code
}
