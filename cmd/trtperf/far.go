package main

import (
	"os"

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
	}, &cobra.Command{
		Use:  "launch",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return remote.Serve(cmd.Context(), std.in, std.out, os.Environ())
		},
	}, &cobra.Command{
		Use:  "lock FILE",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return remote.Lock(std.in, std.out, args[0]) },
	})
	var keep int
	clean := &cobra.Command{
		Use:  "clean DIR",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return remote.Clean(std.out, args[0], keep) },
	}
	clean.Flags().IntVar(&keep, "keep", 10, "how many of the newest runs stay")
	c.AddCommand(clean)
	return c
}
