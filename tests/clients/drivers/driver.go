// Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"recipe/temula"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var fields []string
		for _, field := range strings.Split(lines.Text(), "\t") {
			decoded, _ := base64.StdEncoding.DecodeString(field)
			fields = append(fields, string(decoded))
		}
		headers := http.Header{}
		for n, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			if fields[n] != "" {
				headers.Set(name, fields[n])
			}
		}
		now, _ := strconv.ParseInt(fields[4], 10, 64)
		fmt.Println(temula.Verify([]byte(fields[5]), headers, strings.Split(fields[3], " "), time.Unix(now, 0)))
	}
}
