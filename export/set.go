package export

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtperf/trtperf/parse"
)

// Set is what must be known of all Results before the first one is written: their order, their names and which metrics there are. It holds no
// Result, so that there may be more of them than fit into memory. The zero Set is empty.
type Set struct {
	heads []head
	// metrics are the different sets of metrics, and place their places.
	metrics [][]metricUnit
	place   map[string]int32
	// texts are those of the heads: many have the same, and a Result's own may be a part of something large.
	texts map[string]string
}

// head is what is known of one Result, as small as can be.
type head struct {
	id string
	// test is the test id's text, folder that of its CSVs, and base the name that a case is called by first.
	test, folder, base          string
	server, client, concurrency index
	serverName, clientName      string
	file, member                string
	block                       int32
	metrics                     int32 // place of its set
	valid                       bool
}

// index is a number that may be unknown, and is -1 then.
type index int64

func indexOf(n *int) index {
	if n == nil {
		return -1
	}
	return index(*n)
}

func (n index) String() string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// metricUnit is the name of a metric and its unit.
type metricUnit struct{ name, unit string }

// Len is the number of Results.
func (s *Set) Len() int { return len(s.heads) }

// Put notes the Result of a place: a further one if it is Len, else another reading of the one that is there.
func (s *Set) Put(place int, r *parse.Result) {
	if s.place == nil {
		s.place, s.texts = map[string]int32{}, map[string]string{}
	}
	h := headOf(r)
	h.id = strings.Clone(h.id)
	for _, text := range []*string{&h.test, &h.folder, &h.base, &h.serverName, &h.clientName, &h.file, &h.member} {
		known, ok := s.texts[*text]
		if !ok {
			known = strings.Clone(*text)
			s.texts[known] = known
		}
		*text = known
	}
	h.metrics = s.metricsOf(r)
	if place == len(s.heads) {
		s.heads = append(s.heads, h)
	} else {
		s.heads[place] = h
	}
}

// headOf returns a Result's head without its metrics.
func headOf(r *parse.Result) head {
	return head{id: r.ID, test: r.TestID.String(), folder: folderOf(r.TestID), base: baseName(r), server: indexOf(r.Server.Index), client: indexOf(r.Client.Index),
		concurrency: indexOf(r.Client.Concurrency), serverName: r.Server.Name, clientName: r.Client.Name, file: r.Source.File, member: r.Source.Member,
		block: int32(r.Source.Block), valid: r.Valid()}
}

// metricsOf returns the place of the set that has a Result's metrics.
func (s *Set) metricsOf(r *parse.Result) int32 {
	var all []metricUnit
	for name, v := range r.Metrics.All() {
		all = append(all, metricUnit{name, v.Unit})
	}
	var key strings.Builder
	for _, m := range all {
		key.WriteString(m.name + "\x00" + m.unit + "\x00")
	}
	place, ok := s.place[key.String()]
	if !ok {
		place = int32(len(s.metrics))
		s.metrics, s.place[key.String()] = append(s.metrics, all), place
	}
	return place
}

// compare orders the Results of a Set by test, server, client and source.
func (s *Set) compare(i, j int) int {
	a, b := &s.heads[i], &s.heads[j]
	return cmp.Or(
		cmp.Compare(a.test, b.test),
		cmp.Compare(a.server, b.server), cmp.Compare(a.serverName, b.serverName),
		cmp.Compare(a.client, b.client), cmp.Compare(a.clientName, b.clientName),
		cmp.Compare(a.file, b.file), cmp.Compare(a.member, b.member), cmp.Compare(a.block, b.block),
		cmp.Compare(a.id, b.id))
}

// part is some Results of a Set, in their order, as a file has them.
type part struct {
	set    *Set
	places []int
	get    func(place int) (*parse.Result, error)
	table  *parse.Table
}

// each calls yield for the Results.
func (p *part) each(yield func(i int, r *parse.Result) error) error {
	for i, place := range p.places {
		r, err := p.get(place)
		if err != nil {
			return err
		}
		if err := yield(i, r); err != nil {
			return err
		}
	}
	return nil
}

// columns returns the metrics of the table that fit, and those that some Result has and the table has not. Has says whether some Result has a
// metric.
func (p *part) columns() (metrics []*parse.Metric, has map[string]bool) {
	has = map[string]bool{}
	seen := map[int32]bool{}
	units := map[string]string{}
	for _, place := range p.places {
		n := p.set.heads[place].metrics
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, m := range p.set.metrics[n] {
			if !has[m.name] {
				has[m.name], units[m.name] = true, m.unit
			}
		}
	}
	return slices.Collect(p.table.Columns(units)), has
}
