// Package acceptance tries the program from outside: its commands as a terminal
// shows them, and its pages in a real browser. It is a module of its own, so that
// what drives terminals and browsers is no requirement of the program, whose image
// downloads all of those.
package acceptance
