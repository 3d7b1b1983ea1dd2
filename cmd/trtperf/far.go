package main

import (
	"github.com/spf13/cobra"

	"github.com/trtperf/trtperf/launch/remote"
)

// farCommand holds what a launch with --cluster runs on the far side. It is no command for people.
func farCommand(std stdio) *cobra.Command {
	c := &cobra.Command{Use: "far", Hidden: true, Short: "The far side of a launch with --cluster", Args: cobra.NoArgs}
	c.AddCommand(&cobra.Command{
		Use:  "receive DIR",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return remote.Receive(std.in, std.out, args[0]) },
	}, &cobra.Command{
		Use:  "send DIR",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return remote.Send(std.out, args[0]) },
	})
	return c
}
