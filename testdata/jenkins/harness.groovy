// Runs a declarative pipeline or a shared step as Jenkins would, as far as trtperf's use them, and records every step as a line of JSON. No Jenkins can be
// had where the tests run; the language is the one that Jenkins runs (Groovy 2.4).
//
//   groovy harness.groovy FILE --workspace DIR --record FILE [--build N] [--param NAME=VALUE]… [--credential ID=USER:SECRET]… [--call JSON] [--abort-when TEXT]
//
// Parameters that are not given are null, as on the first build of a job. "sh" steps are executed for real with sh -xe in the workspace. The last
// record is the build: its result, its description, and the log with the credentials masked. Closures run with this build as their delegate, so a
// step that is unknown here is an error, as it is in Jenkins.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper

class Failed extends RuntimeException { Failed(String message) { super(message) } }
class Aborted extends RuntimeException { Aborted() { super('aborted') } }

class Build {
    File workspace
    File record
    Map params = [:]
    Map env = [:]
    // What steps have set, for the record: not the machine's own environment.
    Set own = ['BUILD_NUMBER', 'BUILD_ID', 'WORKSPACE'] as Set
    Map credentials = [:]
    List bound = []
    String result = 'SUCCESS'
    String description
    StringBuilder log = new StringBuilder()
    // A step that prints this is aborted.
    String abortWhen
    def currentBuild = this
    Map declared = [:]

    void step(String name, Map what) {
        record << JsonOutput.toJson([step: name] + what) + '\n'
    }

    void worse(String to) {
        def order = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']
        if (order.indexOf(to) > order.indexOf(result)) { result = to }
    }

    String masked(String text) {
        for (secret in bound) { text = text.replace(secret, '****') }
        return text
    }

    void say(String text) { log << masked(text) << '\n' }

    // Steps.
    def sh(Map args) {
        for (key in args.keySet() - ['script', 'label', 'returnStatus', 'returnStdout']) { throw new Failed("sh has no parameter ${key}") }
        def script = File.createTempFile('script', '.sh')
        script.text = args.script
        def process = new ProcessBuilder('setsid', 'sh', '-xe', script.path).directory(workspace).redirectErrorStream(true)
        process.environment().putAll(env.findAll { it.value != null }.collectEntries { k, v -> [k as String, v as String] })
        def cookie = UUID.randomUUID().toString()
        process.environment().put('JENKINS_NODE_COOKIE', cookie)
        def running = process.start()
        running.outputStream.close()
        def aborted = false
        def printed = new StringBuilder()
        running.inputStream.eachLine { line ->
            printed << line << '\n'
            if (abortWhen && !aborted && line.contains(abortWhen)) {
                aborted = true
                kill(cookie)
            }
        }
        def text = printed.toString()
        def status = running.waitFor()
        script.delete()
        say(text)
        step('sh', [label: args.label, script: args.script, status: status, env: env.findAll { k, v -> k in own && !(v in bound) }, output: masked(text)])
        if (aborted) { throw new Aborted() }
        if (args.returnStdout) { return text }
        if (args.returnStatus) { return status }
        if (status != 0) { throw new Failed("script returned exit code ${status}") }
        return null
    }

    def sh(String script) { sh(script: script) }

    // Ends every process of a step, as Jenkins does: it knows them by a variable, so one that has left the step's process group ends too.
    void kill(String cookie) {
        for (dir in new File('/proc').listFiles().findAll { it.name.isInteger() }) {
            try {
                if (new File(dir, 'environ').text.contains("JENKINS_NODE_COOKIE=${cookie}")) {
                    ['kill', '-TERM', dir.name].execute().waitFor()
                }
            } catch (IOException e) {
                // It has ended.
            }
        }
    }

    def error(String message) { say("ERROR: ${message}"); throw new Failed(message) }

    def unstable(String message) { step('unstable', [message: message]); say("WARNING: ${message}"); worse('UNSTABLE') }

    def echo(String message) { step('echo', [message: message]); say(message) }

    def withEnv(List values, Closure body) {
        def before = new LinkedHashMap(env)
        for (value in values) {
            if (!(value instanceof String)) { throw new Failed("withEnv wants strings, got ${value.class}") }
            def at = value.indexOf('=')
            env[value.substring(0, at)] = value.substring(at + 1)
            own << value.substring(0, at)
        }
        try { return run(body) } finally { env.clear(); env.putAll(before) }
    }

    def usernamePassword(Map args) { [kind: 'password'] + args }

    def sshUserPrivateKey(Map args) { [kind: 'key'] + args }

    def withCredentials(List bindings, Closure body) {
        def before = new LinkedHashMap(env)
        def files = []
        for (b in bindings) {
            def value = credentials[b.credentialsId]
            if (value == null) { throw new Failed("Could not find credentials entry with ID '${b.credentialsId}'") }
            def at = value.indexOf(':')
            def secret = value.substring(at + 1)
            if (b.kind == 'password') {
                env[b.usernameVariable] = value.substring(0, at)
                env[b.passwordVariable] = secret
                bound << secret
            } else {
                def file = File.createTempFile('ssh-key', '')
                file.text = new File(secret).text
                ['chmod', '600', file.path].execute().waitFor()
                files << file
                env[b.keyFileVariable] = file.path
            }
        }
        step('withCredentials', [ids: bindings.collect { it.credentialsId }])
        try { return run(body) } finally { env.clear(); env.putAll(before); files.each { it.delete() } }
    }

    // Files of the workspace that a pattern of Ant's fits: "**/" is any number of directories, none too.
    List matching(String pattern) {
        def rule = ''
        for (int i = 0; i < pattern.length(); i++) {
            if (pattern.startsWith('**/', i)) { rule += '(?:.*/)?'; i += 2 }
            else if (pattern.startsWith('**', i)) { rule += '.*'; i++ }
            else if (pattern[i] == '*') { rule += '[^/]*' }
            else { rule += java.util.regex.Pattern.quote(pattern[i]) }
        }
        def found = []
        workspace.eachFileRecurse(groovy.io.FileType.FILES) {
            def path = it.path - "${workspace.path}/"
            if (path ==~ rule) { found << path }
        }
        return found.sort()
    }

    def junit(Map args) {
        def found = args.testResults.split(',').collectMany { matching(it.trim()) }.unique().sort()
        if (!found && !args.allowEmptyResults) { throw new Failed('No test report files were found.') }
        def failures = 0
        for (file in found) {
            def suites = new XmlSlurper().parse(new File(workspace, file))
            failures += suites.'**'.findAll { it.name() in ['failure', 'error'] }.size()
        }
        step('junit', [files: found, failures: failures])
        if (failures) { worse('UNSTABLE') }
    }

    def archiveArtifacts(Map args) {
        def found = args.artifacts.split(',').collectMany { matching(it.trim()) }.unique().sort()
        if (!found && !args.allowEmptyArchive) { throw new Failed('No artifacts found that match the file pattern') }
        step('archiveArtifacts', [files: found, fingerprint: args.fingerprint])
    }

    boolean fileExists(String path) { new File(workspace, path).exists() }

    String readFile(String path) { new File(workspace, path).text }

    def script(Closure body) { run(body) }

    // The declarative form.
    def run(Closure body) {
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        return body.call()
    }

    def pipeline(Closure body) {
        def p = new Pipeline(build: this)
        body.delegate = p
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
        p.execute()
    }
}

class Collector {
    List rows = []
    def methodMissing(String name, args) {
        rows << [name: name, args: args.toList()]
        return rows.last()
    }
}

class Pipeline {
    Build build
    def any = 'any'
    List stages = []
    Map post = [:]

    def agent(what) { build.step('agent', [what: what]) }

    def parameters(Closure body) {
        def c = new Collector()
        body.delegate = c
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body.call()
        for (row in c.rows) {
            def p = row.args[0]
            if (!(row.name in ['choice', 'string', 'booleanParam'])) { throw new Failed("no parameter kind ${row.name}") }
            if (row.name == 'choice' && !p.choices) { throw new Failed("choice ${p.name} has no choices") }
            build.declared[p.name] = row.name == 'choice' ? p.choices[0] : p.defaultValue
            build.step('parameter', [kind: row.name, name: p.name, choices: p.choices, defaultValue: build.declared[p.name]])
        }
    }

    def options(Closure body) {
        def c = new Collector()
        body.delegate = c
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body.call()
        for (row in c.rows) { build.step('option', [name: row.name]) }
    }

    def stages(Closure body) {
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
    }

    def stage(String name, Closure body) {
        def s = new Stage(name: name)
        body.delegate = s
        body.resolveStrategy = Closure.DELEGATE_FIRST
        body.call()
        stages << s
    }

    def post(Closure body) {
        def c = new Collector()
        body.delegate = c
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body.call()
        for (row in c.rows) { post[row.name] = row.args[0] }
        // What runs in it later sees the script's functions, and not what only collects.
        body.delegate = build
        body.resolveStrategy = Closure.OWNER_FIRST
    }

    void execute() {
        for (s in stages) {
            build.step('stage', [name: s.name])
            if (!attempt(s.body)) { break }
        }
        def when = [always: true, success: build.result == 'SUCCESS', unstable: build.result == 'UNSTABLE', failure: build.result == 'FAILURE',
                    aborted: build.result == 'ABORTED', cleanup: true]
        build.abortWhen = null
        for (condition in ['always', 'aborted', 'failure', 'success', 'unstable', 'cleanup']) {
            if (post[condition] && when[condition]) {
                build.step('post', [condition: condition])
                attempt(post[condition])
            }
        }
    }

    boolean attempt(Closure body) {
        try {
            build.run(body)
            return true
        } catch (Aborted e) {
            build.worse('ABORTED')
        } catch (Failed e) {
            build.worse('FAILURE')
            build.step('failed', [message: build.masked(e.message)])
        }
        return false
    }
}

class Stage {
    String name
    Closure body
    def steps(Closure body) { this.body = body }
}

abstract class BuildScript extends DelegatingScript {
    // Functions of the script see the build's steps, as all of a pipeline's text does.
    def script(Closure body) { delegate.run(body) }
}

def file = args[0]
def build = new Build()
def call = null
def set = { String text, Map into -> def at = text.indexOf('='); into[text.substring(0, at)] = text.substring(at + 1) }
build.env.putAll(System.getenv())
for (int i = 1; i < args.length; i += 2) {
    def value = args[i + 1]
    switch (args[i]) {
        case '--workspace': build.workspace = new File(value).absoluteFile; break
        case '--record': build.record = new File(value); break
        case '--build': build.env.BUILD_NUMBER = value; build.env.BUILD_ID = value; break
        case '--param': set(value, build.params); break
        case '--credential': set(value, build.credentials); break
        case '--call': call = new JsonSlurper().parseText(value); break
        case '--abort-when': build.abortWhen = value; break
        default: System.err.println("unknown option ${args[i]}"); System.exit(2)
    }
}
build.record.text = ''
build.env.WORKSPACE = build.workspace.path
def configuration = new org.codehaus.groovy.control.CompilerConfiguration()
configuration.scriptBaseClass = BuildScript.name
def script = new GroovyShell(this.class.classLoader, new Binding(), configuration).parse(new File(file))
script.setDelegate(build)
try {
    if (call != null) { script.call(call) } else { script.run() }
} catch (Aborted e) {
    build.worse('ABORTED')
} catch (Failed e) {
    build.worse('FAILURE')
    build.step('failed', [message: build.masked(e.message)])
}
build.step('build', [result: build.result, description: build.description, log: build.log.toString()])
println build.result
