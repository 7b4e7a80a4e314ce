// Command initramfs writes the root file system of a guest: files from the host,
// and kernel modules with those that they need, in the order to load them.
//
//	initramfs -modules DIR -load veth,tun -o OUT DEST=FILE...
package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	modules := flag.String("modules", "", "directory of the kernel's modules")
	load := flag.String("load", "", "modules that the guest loads, by name")
	out := flag.String("o", "", "file to write")
	flag.Parse()
	if err := run(*modules, strings.Split(*load, ","), *out, flag.Args()); err != nil {
		log.Fatal("initramfs: ", err)
	}
}

func run(dir string, load []string, out string, files []string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := &archive{w: z}
	for _, d := range []string{"dev", "proc", "sys", "tmp", "run", "root", "modules", "bpf"} {
		w.add(d, 0o040755, nil)
	}
	all, err := findModules(dir)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, name := range load {
		if err := w.addModule(all, name, done); err != nil {
			return err
		}
	}
	for _, arg := range files {
		dest, path, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not DEST=FILE", arg)
		}
		if err := w.addTree(dest, path); err != nil {
			return err
		}
	}
	w.add("TRAILER!!!", 0, nil)
	if w.err != nil {
		return w.err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

// archive writes the "newc" format of cpio.
type archive struct {
	w     io.Writer
	inode int
	size  int
	err   error
}

func (a *archive) add(name string, mode uint32, data []byte) {
	a.inode++
	a.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name))
	a.write(data)
}

// write pads to four bytes.
func (a *archive) write(b []byte) {
	for len(b)%4 != 0 {
		b = append(b[:len(b):len(b)], 0)
	}
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
	a.size += len(b)
}

// addTree adds a file, or a directory with all below it.
func (a *archive) addTree(dest, path string) error {
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		name := filepath.Join(dest, rel)
		if d.IsDir() {
			a.add(name, 0o040755, nil)
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		a.add(name, 0o100755, data)
		return nil
	})
}

// findModules returns the modules below dir by name.
func findModules(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(p), ".ko"); ok && err == nil {
			all[strings.ReplaceAll(name, "-", "_")] = p
		}
		return err
	})
	return all, err
}

// addModule adds a module behind those that it needs. Files are numbered in the
// order to load them. A module that is not there is taken to be built in: if it
// is not, the guest's tests say what they miss.
func (a *archive) addModule(all map[string]string, name string, done map[string]bool) error {
	path, ok := all[name]
	if !ok || done[name] {
		return nil
	}
	done[name] = true
	data, err := readModule(path)
	if err != nil {
		return err
	}
	needs, err := needsOf(data)
	if err != nil {
		return fmt.Errorf("read module %s: %w", name, err)
	}
	for _, n := range needs {
		if err := a.addModule(all, n, done); err != nil {
			return err
		}
	}
	a.add(fmt.Sprintf("modules/%04d-%s.ko", a.inode, name), 0o100644, data)
	return nil
}

func readModule(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	data, err := exec.Command("xz", "-dc", path).Output()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return data, nil
}

// needsOf reads the modules that a module names in its "depends" tag.
func needsOf(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, nil
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for tag := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(tag, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
