package storetest

import "syscall"

// dieWithTest has a process end with the test, however that ends.
func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
