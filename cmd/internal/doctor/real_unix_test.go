//go:build unix

package doctor_test

import (
	"os"
	"os/exec"
	"syscall"
)

// nobody is the user, and the group, that owns nothing.
const nobody = 65534

// asNobody has a command run without the rights of root.
func asNobody(command *exec.Cmd) {
	if os.Getuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
