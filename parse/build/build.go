// Package build reads what a CI system's environment says of the build that runs a test.
//
// The variables are those of Jenkins and of TensorRT-LLM's own pipelines:
//
//	BUILD_ID, BUILD_URL, JOB_NAME   Jenkins
//	HOST_NODE_NAME                  the machine that the build runs on
//	stageName                       the pipeline's stage
//	gitlabCommit, TRTLLM_COMMIT     the commit that is tested; the first that is set
//	TRTLLM_BRANCH                   the branch of a build that a person started
//	globalVars                      JSON: the job above this one, the branch, the pull request, who triggered it
//
// What they do not say is absent: a build outside of Jenkins is neither a post-merge build nor that of a pull request.
package build

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// FileName is the file of a run's directory that keeps what the environment of its launch said; its content is [parse.Job] as JSON.
const FileName = "trtperf-job.json"

// globals is what is read of globalVars. Its values may be of any type.
type globals struct {
	Branch  any    `json:"build_branch"`
	API     any    `json:"github_pr_api_url"`
	Actions action `json:"action_info"`
}

type action struct {
	Parents []struct {
		URL    any `json:"url"`
		Number any `json:"build_number"`
	} `json:"parents"`
	Trigger any `json:"trigger_info"`
}

var (
	// Rules of TensorRT-LLM's own upload.
	pullNumber  = regexp.MustCompile(`/pulls/(\d+)`)
	triggerUser = regexp.MustCompile(`target="_blank">([^<]+)</a><br/>Git Commit:`)
	jobBranch   = regexp.MustCompile(`/job/LLM/job/([^/]+)/job/`)
)

// FromEnvironment returns what the environment says. The rules are those of TensorRT-LLM's own documents, but that nothing is said of a
// build's kind where no job is known.
func FromEnvironment(getenv func(string) string) parse.Job {
	var job parse.Job
	b := &job.Build
	b.ID, b.URL, b.JobName, b.Host, b.Stage = getenv("BUILD_ID"), getenv("BUILD_URL"), getenv("JOB_NAME"), getenv("HOST_NODE_NAME"), getenv("stageName")
	job.Commit = cmp.Or(getenv("gitlabCommit"), getenv("TRTLLM_COMMIT"))
	var g globals
	// Text that is no such JSON says nothing, as upstream has it.
	if json.Unmarshal([]byte(getenv("globalVars")), &g) != nil {
		g = globals{}
	}
	if n := len(g.Actions.Parents); n > 0 {
		b.JobURL, b.JobID = text(g.Actions.Parents[n-1].URL), text(g.Actions.Parents[n-1].Number)
	}
	job.Link = cmp.Or(b.JobURL, b.URL)
	if job.Link != "" {
		post := IsPostMerge(job.Link)
		b.PostMerge = &post
		pull := b.JobURL != "" && !post
		b.PullRequest = &pull
	}
	b.Branch = cmp.Or(text(g.Branch), BranchOf(b.JobURL), getenv("TRTLLM_BRANCH"))
	if api := text(g.API); b.PullRequest != nil && *b.PullRequest && api != "" {
		if m := pullNumber.FindStringSubmatch(api); m != nil {
			b.TriggerID = m[1]
			b.Branch = "github-pr-" + m[1]
		}
		b.TriggerLink = strings.NewReplacer("api.github.com/repos/", "github.com/", "/pulls/", "/pull/").Replace(api)
	}
	if m := triggerUser.FindStringSubmatch(text(g.Actions.Trigger)); m != nil {
		b.TriggerUser = m[1]
	}
	if b.PullRequest != nil {
		b.TriggerCommit = job.Commit
	}
	return job
}

// IsPostMerge reports whether a link is to a job after a merge, by upstream's rule.
func IsPostMerge(link string) bool { return strings.Contains(link, "PostMerge") }

// BranchOf is the branch that stands in the link to one of upstream's jobs; empty for any other link.
func BranchOf(link string) string {
	if m := jobBranch.FindStringSubmatch(link); m != nil {
		return m[1]
	}
	return ""
}

// text returns a JSON text or number as text, and nothing for any other value.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		number, _ := json.Marshal(v)
		return string(number)
	}
	return ""
}
