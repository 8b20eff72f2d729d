package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measureAll(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command's.
type options struct {
	rounds int
	short  bool
	bytes  int
	only   []string
	also   []string
	write  bool
	scale  bool
	redraw bool
}

func measureAll(ctx context.Context) error {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured")
	flag.BoolVar(&o.short, "short", false, "only the deployed form, to try something")
	flag.IntVar(&o.bytes, "bytes", 0, "only bodies of that size: 2000, 64000 or 900000")
	flag.Func("only", "the programs to measure, as in: -only receiver,Rust", func(text string) error {
		o.only = strings.Split(text, ",")
		return nil
	})
	flag.Func("also", `one more receiver to compare with, as in: -also "before=/tmp/bootstrap GOGC=100"`, func(text string) error {
		o.also = append(o.also, text)
		return nil
	})
	flag.BoolVar(&o.write, "write", false, "write what was found into docs and README.md")
	flag.BoolVar(&o.redraw, "redraw", false, "measure nothing; write the pages and plots anew from the figures that are there")
	flag.BoolVar(&o.scale, "scale", false, "send a burst through more and more environments of the receiver, and write that")
	flag.Parse()
	if o.write && (o.short || o.bytes != 0 || len(o.only) > 0 || len(o.also) > 0) {
		return errors.New("-write is for the whole measurement, so not with -short, -bytes, -only or -also")
	}
	root, err := faults.Root(ctx)
	if err != nil {
		return err
	}
	if o.redraw {
		results, err := read(root)
		if err != nil {
			return err
		}
		return results.write(root)
	}
	if o.scale {
		return writeScale(ctx, root)
	}
	programs, err := build(ctx, root, o)
	if err != nil {
		return err
	}
	results, err := measure(ctx, programs, o)
	if err != nil {
		return err
	}
	fmt.Println()
	fmt.Println(results.tables())
	if o.write {
		before, err := read(root)
		if err != nil {
			return err
		}
		results.Scale, results.ScaleDate, results.ScaleOn = before.Scale, before.ScaleDate, before.ScaleOn
		return results.write(root)
	}
	return nil
}

// writeScale adds the burst to the figures of the last measurement.
func writeScale(ctx context.Context, root string) error {
	results, err := read(root)
	if err != nil {
		return err
	}
	programs, err := build(ctx, root, options{only: []string{receiver}})
	if err != nil {
		return err
	}
	results.ScaleDate, results.ScaleOn = time.Now().UTC().Format(time.DateOnly), describe()
	if results.Scale, err = scale(ctx, programs[0]); err != nil {
		return err
	}
	return results.write(root)
}

// build makes the programs that are asked for.
func build(ctx context.Context, root string, o options) ([]Program, error) {
	dir := filepath.Join(root, ".local", "bench")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	fmt.Println("bench: building the programs (Rust takes some minutes the first time)")
	all, err := builder{root: root, dir: dir, peers: filepath.Join(root, "test", "bench", "peers")}.all(ctx, o.only)
	if err != nil {
		return nil, err
	}
	for _, text := range o.also {
		p, err := also(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func measure(ctx context.Context, programs []Program, o options) (Results, error) {
	cases := allCases()
	cases = slices.DeleteFunc(cases, func(c Case) bool {
		return o.short && c != standard(c.Bytes, c.CPUs) || o.bytes != 0 && c.Bytes != o.bytes
	})
	r := Results{Date: time.Now().UTC().Format(time.DateOnly), Machine: describe(), Rounds: o.rounds, Programs: programs}
	if r.Machine.CPUs < 2 {
		return r, errors.New("make bench needs two CPUs: one for the program, one for everything else")
	}
	if err := pin(harnessCPU); err != nil {
		return r, err
	}
	aws := newAWS()
	defer aws.Close()
	samples := make(map[key][]Sample)
	limits := make(map[int][]float64)
	began := time.Now()
	for round := range o.rounds {
		for _, bytes := range sizes {
			limit, err := measureLimit(bytes)
			if err != nil {
				return r, err
			}
			limits[bytes] = append(limits[bytes], limit)
		}
		for _, c := range cases {
			for _, p := range inTurn(programs, round) {
				s, err := run(ctx, p, c, aws)
				if err != nil {
					return r, err
				}
				samples[key{p.Name, c}] = append(samples[key{p.Name, c}], s)
			}
		}
		fmt.Printf("bench: round %d of %d, after %v\n", round+1, o.rounds, time.Since(began).Round(time.Second))
	}
	r.Rows = rows(samples, cases, programs)
	for _, bytes := range sizes {
		r.Limits = append(r.Limits, Limit{bytes, figure(limits[bytes])})
	}
	return r, nil
}

// inTurn is the order of a round: each begins with another program, and every other goes
// backwards, so that none always runs after the same one.
func inTurn(programs []Program, round int) []Program {
	measured := slices.DeleteFunc(slices.Clone(programs), func(p Program) bool { return p.Missing != "" })
	if len(measured) == 0 {
		return nil
	}
	k := round % len(measured)
	order := append(slices.Clone(measured[k:]), measured[:k]...)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}
