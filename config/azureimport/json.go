package azureimport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// limits bound what one export may cost, whatever it holds.
type limits struct {
	total   int64 // bytes of one file
	element int64 // bytes of one resource
	depth   int   // of nested lists and objects
}

// standardLimits are far above what Azure gives: a private endpoint has some
// thousand bytes, and a module of Terraform adds two levels.
func standardLimits() limits { return limits{total: 4 << 30, element: 64 << 20, depth: 256} }

// The faults of a JSON export. They say where, and nothing of what stands there.
var (
	errCutOff   = errors.New("it ends in the middle: the export was cut off, run it again")
	errTotal    = errors.New("it is too large: split the export")
	errElement  = errors.New("one resource of it is too large: export only private endpoints")
	errTooDeep  = errors.New("it is nested too deeply for an export of Azure")
	errTwice    = errors.New("it has the same key twice in one object: run the export again")
	errBlank    = errors.New("it has nothing but blanks for too long: run the export again")
	errNoSyntax = errors.New("it is no valid JSON: run the export again, and save only its standard output")
)

// boundedReader ends with an error where a resource, or all of it, is too large,
// so that nothing makes the decoder collect more than that.
type boundedReader struct {
	reader io.Reader
	read   int64
	until  int64 // the end of what the present resource may need
	total  int64
	blanks int // at the end of what was read
}

// maxBlanks is how many blanks may follow each other. The decoder looks at all of
// them again with every piece that it reads.
const maxBlanks = 256 << 10

func (b *boundedReader) Read(p []byte) (int, error) {
	switch {
	case b.read >= b.total:
		return 0, errTotal
	case b.read >= b.until:
		return 0, errElement
	}
	n, err := b.reader.Read(p[:min(int64(len(p)), b.until-b.read, b.total-b.read)])
	b.read += int64(n)
	if end := len(bytes.TrimRight(p[:n], " \t\r\n")); end > 0 {
		b.blanks = n - end
	} else {
		b.blanks += n
	}
	if b.blanks > maxBlanks {
		return 0, errBlank
	}
	return n, err
}

// jsonReader reads a JSON export piece by piece: objects and lists are walked, and
// only one resource at a time is held as a whole.
type jsonReader struct {
	source  *boundedReader
	decoder *json.Decoder
	limits  limits
	depth   int
}

func newJSONReader(r io.Reader, l limits) *jsonReader {
	source := &boundedReader{reader: r, until: l.element, total: l.total}
	decoder := json.NewDecoder(source)
	decoder.UseNumber()
	return &jsonReader{source: source, decoder: decoder, limits: l}
}

// next begins a new resource: the limit counts from here.
func (j *jsonReader) next() { j.source.until = j.decoder.InputOffset() + j.limits.element }

// token reads a token that must be there.
func (j *jsonReader) token() (json.Token, error) {
	token, err := j.maybeToken()
	if err == io.EOF {
		return nil, errCutOff
	}
	return token, err
}

// maybeToken reads a token, or gives [io.EOF] at the end of the file.
func (j *jsonReader) maybeToken() (json.Token, error) {
	token, err := j.decoder.Token()
	if err != nil {
		return nil, j.explain(err)
	}
	switch token {
	case json.Delim('['), json.Delim('{'):
		if j.depth++; j.depth > j.limits.depth {
			return nil, j.at(errTooDeep)
		}
	case json.Delim(']'), json.Delim('}'):
		j.depth--
	}
	return token, nil
}

// explain puts an error of the decoder into words that quote nothing of the file.
func (j *jsonReader) explain(err error) error {
	var syntax *json.SyntaxError
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCutOff
	case errors.Is(err, errTotal), errors.Is(err, errElement), errors.Is(err, errBlank):
		return j.at(err)
	case errors.As(err, &syntax):
		return j.at(errNoSyntax)
	}
	return err
}

// at says where in the file a fault is.
func (j *jsonReader) at(err error) error {
	return fmt.Errorf("near byte %d: %w", j.decoder.InputOffset(), err)
}

// value reads the value that begins with a token.
func (j *jsonReader) value(token json.Token) (any, error) {
	switch token {
	case json.Delim('['):
		list := []any{}
		err := j.list(func(element json.Token) error {
			v, err := j.value(element)
			list = append(list, v)
			return err
		})
		return list, err
	case json.Delim('{'):
		object := make(map[string]any)
		err := j.object(func(key string, member json.Token) error {
			v, err := j.value(member)
			object[key] = v
			return err
		})
		return object, err
	}
	return token, nil
}

// list walks the elements of a list behind its bracket. What is called must read
// all of the element that begins with the token.
func (j *jsonReader) list(element func(json.Token) error) error {
	for {
		token, err := j.token()
		if err != nil {
			return err
		}
		if token == json.Delim(']') {
			return nil
		}
		if err := element(token); err != nil {
			return err
		}
	}
}

// object walks the members of an object behind its brace, as list does.
func (j *jsonReader) object(member func(key string, value json.Token) error) error {
	seen := make(map[string]bool)
	for {
		token, err := j.token()
		if err != nil {
			return err
		}
		if token == json.Delim('}') {
			return nil
		}
		key, _ := token.(string) // the decoder lets nothing else stand here
		if seen[key] {
			return j.at(errTwice)
		}
		seen[key] = true
		if token, err = j.token(); err != nil {
			return err
		}
		if err := member(key, token); err != nil {
			return err
		}
	}
}

// skip steps over the value that begins with a token, and keeps nothing of it.
func (j *jsonReader) skip(token json.Token) error {
	switch token {
	case json.Delim('['), json.Delim('{'):
	default:
		return nil
	}
	for above := j.depth - 1; j.depth > above; {
		j.next()
		if _, err := j.token(); err != nil {
			return err
		}
	}
	return nil
}

// elements walks the resources of a list, if the value is one: each is read as a
// whole, and let go.
func (j *jsonReader) elements(path *step, token json.Token, do func(node) error) error {
	if token != json.Delim('[') {
		if token == nil {
			return nil
		}
		if err := j.skip(token); err != nil {
			return err
		}
		return &shapeError{path: path, want: "a list"}
	}
	index := 0
	return j.list(func(element json.Token) error {
		j.next()
		v, err := j.value(element)
		if err != nil {
			return err
		}
		n := newNode(v, &step{up: path, index: index})
		index++
		return do(n)
	})
}
