// Package remote carries a launch to another machine over the system's ssh, and its results back.
//
// One connection serves a whole run: a [Session] starts ssh as a control master and every command goes through it, so the user's own
// configuration, agent and jump hosts count. Host keys are checked and never written. When the connection drops, the session connects
// again until its patience is over; what runs on the far side does not notice.
//
// On the far side works the same program: the binary for its architecture is put there under the hash of its content, once ([Session.Install]). The near
// side and the far side therefore cannot disagree on what a plan means, and every setting travels in the plan.
//
// Sources go into a directory of the near tree's own ([Session.Sync]): with rsync where both sides have it, else as a tar stream of what
// the far side lacks. A run gets a copy of its own by hard links, which a later sync does not touch, since files are replaced and never
// written over. Results come back as a tar stream whose last member lists the hash of every file ([Session.Fetch]).
//
// Below a cluster's work directory there are
//
//	bin/<hash>/trtperf   the program
//	trees/<name>/        sources of a near tree, the name made of its host and path
//	sources/<run>/       the run's own copy of them
//	runs/<run>/          the run's directory
package remote
