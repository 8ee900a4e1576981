package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/deploy/scenarios/tally"
)

// load asks as many stub resolvers do, each query from a socket of its own, until
// ctx ends, holds every answer against what it may be, and prints the count.
//
// A query that is not answered in time, or with SERVFAIL or REFUSED, or that
// nobody listens for, is tried at the next server: a few rounds, then it is lost.
// Half of the queries begin with the first server, half with the second, and so on.
func load(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	servers := flags.String("servers", "", "addresses and ports, with commas")
	questions := flags.String("questions", "", "file of tally.Question, as JSON")
	rate := flags.Int("rate", 1000, "queries a second")
	timeout := flags.Duration("timeout", 2*time.Second, "of one try")
	rounds := flags.Int("rounds", 3, "how often each server is tried")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	text, err := os.ReadFile(*questions)
	if err != nil {
		return err
	}
	l := &loading{servers: strings.Split(*servers, ","), timeout: *timeout, rounds: *rounds, count: tally.New()}
	if err := json.Unmarshal(text, &l.questions); err != nil {
		return fmt.Errorf("%s: %w", *questions, err)
	}
	l.run(ctx, *rate)
	return json.NewEncoder(os.Stdout).Encode(l.count)
}

// mostAtOnce bounds the queries that are on their way; beyond it none is begun.
const mostAtOnce = 10_000

type loading struct {
	servers   []string
	questions []tally.Question
	timeout   time.Duration
	rounds    int

	mutex sync.Mutex
	count *tally.Tally // under mutex
}

// run keeps the rate as well as the machine lets it: what was missed is not made up
// for in a burst.
func (l *loading) run(ctx context.Context, rate int) {
	const tick = 5 * time.Millisecond
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	slots := make(chan struct{}, mostAtOnce)
	var group sync.WaitGroup
	defer group.Wait()
	last, owed, number := time.Now(), 0.0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			owed += min(now.Sub(last), 10*tick).Seconds() * float64(rate)
			last = now
		}
		for ; owed >= 1; owed-- {
			select {
			case slots <- struct{}{}:
			default:
				continue
			}
			number++
			first := number
			group.Go(func() {
				l.one(first)
				<-slots
			})
		}
	}
}

// one asks one question until it is answered, or lost.
func (l *loading) one(number int) {
	question := l.pick()
	query := new(dns.Msg).SetQuestion(question.Fill(number), dns.StringToType[question.Type])
	query.SetEdns0(1232, false)
	began := time.Now()
	for try := range l.rounds * len(l.servers) {
		server := l.servers[(number+try)%len(l.servers)]
		reply, err := l.exchange(query, server)
		if err != nil || reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeRefused {
			continue
		}
		l.note(tally.Outcome{Kind: question.Kind, Asked: began, Took: time.Since(began), Tries: try + 1,
			Server: server, Got: says(reply), Right: question.Right(says(reply))})
		return
	}
	l.note(tally.Outcome{Kind: question.Kind, Asked: began, Took: time.Since(began), Lost: true})
}

// pick draws a question, by weight.
func (l *loading) pick() *tally.Question {
	total := 0
	for i := range l.questions {
		total += l.questions[i].Weight
	}
	n := rand.IntN(total)
	for i := range l.questions {
		if n -= l.questions[i].Weight; n < 0 {
			return &l.questions[i]
		}
	}
	return nil // not reached: n is less than the sum
}

func (l *loading) note(o tally.Outcome) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.count.Add(o)
}

// exchange sends one query and reads until its reply.
func (l *loading) exchange(query *dns.Msg, server string) (*dns.Msg, error) {
	query.Id = dns.Id()
	conn, err := net.DialTimeout("udp", server, l.timeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return nil, err
	}
	wire, err := query.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		reply := new(dns.Msg)
		if reply.Unpack(buffer[:n]) != nil || reply.Id != query.Id {
			continue
		}
		if len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, query.Question[0].Name) {
			return nil, errors.New("a reply to another question")
		}
		return reply, nil
	}
}

// says is a reply in a few words: the rcode unless it is NOERROR, and the targets
// and addresses of its answer.
func says(reply *dns.Msg) string {
	var words []string
	if reply.Rcode != dns.RcodeSuccess {
		words = append(words, dns.RcodeToString[reply.Rcode])
	}
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.CNAME:
			words = append(words, strings.ToLower(rr.Target))
		case *dns.A:
			words = append(words, rr.A.String())
		case *dns.AAAA:
			words = append(words, rr.AAAA.String())
		default:
			words = append(words, dns.TypeToString[rr.Header().Rrtype])
		}
	}
	return strings.Join(words, " ")
}
