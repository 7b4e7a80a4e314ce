package spool

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const killedEnv = "FANLIGHT_TEST_KILLED_SPOOL"

func crashConfig(dir string) Config {
	return Config{Dir: dir, MaxSize: 64 << 20, SegmentSize: 32 << 10}
}

// TestKilledChild is not a test: it is what TestSurvivesSIGKILL kills. It says
// what it appended once that is done, and what it takes before it acknowledges
// it.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedEnv)
	if dir == "" {
		t.Skip("only as a child")
	}
	first, err := strconv.Atoi(os.Getenv(killedEnv + "_FIRST"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, crashConfig(dir))
	go func() {
		for {
			e, err := s.Next(t.Context())
			if err != nil {
				return
			}
			n := numberIn(e.Payload)
			if n < 0 || !bytes.Equal(e.Payload, payload(n, 300)) || e.Records != recordsOf(n) {
				fmt.Printf("wrong %.40q\n", e.Payload)
			}
			fmt.Printf("took %d %d\n", n, time.Now().UnixMilli())
			s.Ack(e)
		}
	}()
	pace := time.NewTicker(time.Millisecond)
	for n := first; ; n++ {
		if n%10 == 0 {
			<-pace.C
		}
		mustAppend(t, s, n, 1, 300)
		fmt.Printf("put %d %d\n", n, time.Now().UnixMilli())
	}
}

func numberIn(payload []byte) int {
	n := -1
	fmt.Sscanf(string(payload), "batch %d.", &n)
	return n
}

// story is what happened to the batches of a spool in all rounds.
type story struct {
	put    []int
	took   map[int]int64 // and when, in milliseconds
	killed int64         // when something was last heard of the round before
	again  int
}

func (y *story) add(t *testing.T, round int, said []byte) {
	t.Helper()
	var last int64
	before := -1
	for lines := bufio.NewScanner(bytes.NewReader(said)); lines.Scan(); {
		var what string
		var n int
		var at int64
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d", &what, &n, &at); err != nil {
			t.Fatalf("round %d: child says %q", round, lines.Text())
		}
		switch last = max(last, at); what {
		case "put":
			y.put = append(y.put, n)
		case "took":
			y.take(t, round, n, at)
			if n <= before {
				t.Errorf("round %d: batch %d came behind %d", round, n, before)
			}
			before = n
		default:
			t.Fatalf("round %d: child says %q", round, lines.Text())
		}
	}
	y.killed = last
}

func (y *story) take(t *testing.T, round, n int, at int64) {
	if then, dup := y.took[n]; dup {
		y.again++
		if age := y.killed - then; age > (2 * cursorInterval).Milliseconds() { // twice, because the machine may be busy
			t.Errorf("round %d: batch %d came again, acknowledged %d ms before the end", round, n, age)
		}
	}
	y.took[n] = at
}

// Killed at any moment, everything that Append returned from is delivered, in
// order, and nothing comes again but what was acknowledged in the last second.
func TestSurvivesSIGKILL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	y := story{took: map[int]int64{}}
	for round := range 12 {
		life := time.Duration(60+31*round) * time.Millisecond
		if round == 6 {
			life = 3 * time.Second // long enough for the cursor to be written by itself
		}
		y.add(t, round, runAndKill(t, dir, round*1_000_000, life))
	}
	s := open(t, crashConfig(dir))
	for s.Stats().Waiting > 0 {
		e, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		y.take(t, 12, numberIn(e.Payload), 0)
		s.Ack(e)
	}
	for _, n := range y.put {
		if _, ok := y.took[n]; !ok {
			t.Errorf("batch %d was appended and never came", n)
		}
	}
	if stats := s.Stats(); stats.Lost[Corrupt] > 0 {
		t.Errorf("lost: %v", stats.Lost)
	}
	if len(y.put) < 10_000 {
		t.Errorf("too little happened: %d batches", len(y.put))
	}
	t.Logf("%d batches appended, %d taken, %d of them again", len(y.put), len(y.took), y.again)
}

func runAndKill(t *testing.T, dir string, first int, life time.Duration) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), killedEnv+"="+dir, killedEnv+"_FIRST="+strconv.Itoa(first))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	lines := bufio.NewReader(out)
	begin, err := lines.ReadBytes('\n') // it lives from its first word on
	said.Write(begin)
	killer := time.AfterFunc(life, func() { cmd.Process.Kill() })
	defer killer.Stop()
	if err == nil {
		_, err = io.Copy(&said, lines)
	}
	cmd.Wait()
	if err != nil {
		t.Fatalf("child: %v, said %q", err, said.Bytes())
	}
	whole := said.Bytes()
	return whole[:bytes.LastIndexByte(whole, '\n')+1]
}
