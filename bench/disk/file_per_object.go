// A server that stores each PUT in a file of its own and syncs it before it answers, and sends the file with a GET: a stand-in for peers
// that work so (bazel-remote), where they cannot be had. Arguments: address, folder.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

func pathOf(folder string, request *http.Request) string {
	name := sha256.Sum256([]byte(request.URL.Path))
	return filepath.Join(folder, hex.EncodeToString(name[:1]), hex.EncodeToString(name[:]))
}

func store(folder string, request *http.Request) error {
	path := pathOf(folder, request)
	file, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	// The content is hashed, as the content of an object that is addressed by it must be.
	if _, err := io.Copy(io.MultiWriter(file, sha256.New()), request.Body); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func main() {
	folder := os.Args[2]
	for first := 0; first < 256; first++ {
		if err := os.MkdirAll(filepath.Join(folder, fmt.Sprintf("%02x", first)), 0o755); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodGet {
			answer.Header().Set("Content-Type", "application/octet-stream")
			http.ServeFile(answer, request, pathOf(folder, request))
			return
		}
		if err := store(folder, request); err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
		}
	})))
}
