// Package stress holds the program to what it promises to everybody else while one
// client, one domain or one reader of its output misbehaves. It has only tests: they
// build the program, serve a configuration on loopback, and load it for a bounded
// time and with bounded numbers.
//
// They run when PLDNS_STRESS is set: to "short" for a few seconds of load each, to
// "full" for longer. PLDNS_STRESS_PROGRAM names another program to try than the one
// that is built.
package stress
