package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pldns/resolver/resolvertest"
)

// An instance that is killed while it fetches a release serves the one before when it is
// back, and then the new one.
func TestKilledDuringAFetch(t *testing.T) {
	whenLong(t)
	dir := t.TempDir()
	files := http.FileServer(http.Dir(dir))
	var holding atomic.Bool
	fetching, release := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if holding.Load() && strings.Contains(r.URL.Path, "/objects/") {
			fetching <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	f := newFleetOf(t, fmt.Sprintf("url = %q\nevery = \"1s\"", server.URL))
	f.push(hub("10.0.1.4", ""), "--to", dir)
	machine := f.machine("hub-1", "")
	first := process(t, machine)
	resolvertest.Until(t, "the release is on disk", func() bool {
		_, err := os.Stat(filepath.Join(f.states, "hub-1", "channels", "stable.json"))
		return err == nil
	})
	holding.Store(true)
	f.push(hub("10.0.1.5", ""), "--to", dir)
	<-fetching
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	again := start(t, machine)
	if got := again.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
		t.Errorf("the first answer is %s", got)
	}
	<-fetching
	close(release)
	again.told(t, "10.0.1.5")
}

// Releases in a blob container are fetched with a token of the machine's identity, which is
// one for Azure Storage.
func TestTokenOfTheMachine(t *testing.T) {
	var wanted atomic.Value
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wanted.Store(r.URL.Query().Get("resource"))
		if r.Header.Get("X-Identity-Header") != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"of-the-machine","expires_on":"%d","resource":"https://storage.azure.com","token_type":"Bearer"}`,
			time.Now().Add(time.Hour).Unix())
	}))
	defer metadata.Close()
	t.Setenv("IDENTITY_ENDPOINT", metadata.URL)
	t.Setenv("IDENTITY_HEADER", "secret")
	dir := t.TempDir()
	files := http.FileServer(http.Dir(dir))
	container := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-machine" || r.Header.Get("X-Ms-Version") == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer container.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: container.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFleetOf(t, fmt.Sprintf("url = %q\nevery = \"1s\"\nca = %q", container.URL, ca))
	open := f.store
	f.store += "identity = \"managed\"\n"
	f.push(hub("10.0.1.4", ""), "--to", dir)
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.well(t)
	if got, _ := wanted.Load().(string); got != "https://storage.azure.com" {
		t.Errorf("the token is for %q", got)
	}
	f.store = open
	start(t, f.machine("without-identity", "")).faulty(t, "give the identity the role Storage Blob Data Reader")
}
