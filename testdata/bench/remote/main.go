// Remote drives launch/remote for remote.sh:
//
//	remote --host HOST --port PORT --user USER --key FILE --known-hosts FILE --workdir DIR --program FILE sync TREE TO
//	remote … fetch FROM TO
//
// connects, does one thing, and prints what it did. FILE is the trtperf that the far side gets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/trtperf/trtperf/launch/remote"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "remote:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := &remote.Cluster{Name: "bench"}
	var o remote.Options
	flag.StringVar(&c.Host, "host", "", "host")
	flag.StringVar(&c.Port, "port", "", "port")
	flag.StringVar(&c.User, "user", "", "user")
	flag.StringVar(&c.WorkDir, "workdir", "", "work directory over there")
	flag.StringVar(&o.KeyFile, "key", "", "private key")
	known := flag.String("known-hosts", "", "known_hosts file")
	program := flag.String("program", "", "trtperf for the far side")
	flag.Parse()
	if flag.NArg() != 3 {
		return errors.New("write sync TREE TO, or fetch FROM TO")
	}
	c.SSHOptions = []string{"-o", "UserKnownHostsFile=" + *known}
	session, err := remote.Dial(ctx, c, o)
	if err != nil {
		return err
	}
	defer session.Close()
	there, err := session.Install(ctx, *program)
	if err != nil {
		return err
	}
	switch flag.Arg(0) {
	case "sync":
		done, err := session.Sync(ctx, flag.Arg(1), flag.Arg(2), there)
		if err != nil {
			return err
		}
		fmt.Println(done.Way)
	case "fetch":
		done, err := session.Fetch(ctx, flag.Arg(1), flag.Arg(2), there)
		if err != nil {
			return err
		}
		fmt.Println(done.Files, done.Bytes)
	default:
		return fmt.Errorf("unknown command %q", flag.Arg(0))
	}
	return nil
}
