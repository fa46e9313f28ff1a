package kdbx

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"vaultpam/internal/secret"
)

const (
	maxDepth   = 128
	maxEntries = 100_000
	// maxGroups bounds what an entry carries of the names of its groups.
	maxGroups = 32
)

// reader walks through the XML once, since the protected stream goes on from
// value to value, also where nobody wants the value.
type reader struct {
	dec    *xml.Decoder
	stream protected
	files  map[string][]byte
	depth  int
	bin    string // the recycle bin's id, "" without one
	found  []Entry
	in     []*group // of each that was found
}

// group is one of the nested groups. Its parts stand in any order, so what it
// is called is known when it is over.
type group struct {
	above    *group
	id, name string
}

// readXML reads the entries. encoding/xml resolves no entities but XML's own
// five, so there is nothing that grows; a document type is refused all the same.
func readXML(text []byte, stream protected, files [][]byte) ([]Entry, error) {
	r := &reader{dec: xml.NewDecoder(bytes.NewReader(text)), stream: stream, files: map[string][]byte{}}
	for i, data := range files {
		r.files[strconv.Itoa(i)] = data
	}
	err := r.document()
	out := make([]Entry, 0, len(r.found))
	for i, e := range r.found {
		binned := false
		for g := r.in[i]; g != nil; g = g.above {
			binned = binned || r.bin != "" && g.id == r.bin
			if g.above != nil && len(e.Groups) < maxGroups { // the root's name says nothing
				e.Groups = append(e.Groups, g.name)
			}
		}
		if binned || err != nil {
			e.Wipe()
			continue
		}
		slices.Reverse(e.Groups)
		out = append(out, e)
	}
	return out, err
}

func (r *reader) document() error {
	for {
		start, done, err := r.next()
		if err != nil || done {
			return err
		}
		if start.Name.Local != "KeePassFile" {
			return ErrFormat
		}
		err = r.children(func(el xml.StartElement) error {
			switch el.Name.Local {
			case "Meta":
				return r.meta()
			case "Root":
				return r.children(func(el xml.StartElement) error {
					if el.Name.Local == "Group" {
						return r.group(nil)
					}
					return r.skip()
				})
			}
			return r.skip()
		})
		if err != nil {
			return err
		}
	}
}

// next returns the next start of an element, or says that the element around
// it, or the document, is over.
func (r *reader) next() (xml.StartElement, bool, error) {
	for {
		token, err := r.dec.Token()
		if err == io.EOF && r.depth == 0 {
			return xml.StartElement{}, true, nil
		}
		if err != nil {
			return xml.StartElement{}, false, ErrFormat
		}
		switch token := token.(type) {
		case xml.StartElement:
			if r.depth++; r.depth > maxDepth {
				return xml.StartElement{}, false, fmt.Errorf("%w: nested too deeply", ErrLimit)
			}
			return token.Copy(), false, nil
		case xml.EndElement:
			r.depth--
			return xml.StartElement{}, true, nil
		case xml.Directive:
			return xml.StartElement{}, false, ErrFormat
		}
	}
}

// children calls each for the elements within the present one; each reads its
// element to the end.
func (r *reader) children(each func(xml.StartElement) error) error {
	for {
		start, done, err := r.next()
		if err != nil || done {
			return err
		}
		if err := each(start); err != nil {
			return err
		}
	}
}

// skip reads to the end of the element. Protected values within move the
// stream on.
func (r *reader) skip() error {
	return r.children(func(el xml.StartElement) error {
		if attribute(el, "Protected") {
			v, err := r.value(el)
			v.Wipe()
			return err
		}
		return r.skip()
	})
}

func attribute(el xml.StartElement, name string) bool {
	for _, a := range el.Attr {
		if a.Name.Local == name {
			return strings.EqualFold(a.Value, "true")
		}
	}
	return false
}

// value reads the text of an element, to its end.
func (r *reader) value(el xml.StartElement) (secret.Value, error) {
	var text []byte
	for {
		token, err := r.dec.Token()
		if err != nil {
			return secret.Value{}, ErrFormat
		}
		switch token := token.(type) {
		case xml.CharData:
			text = append(text, token...)
			continue
		case xml.Comment, xml.ProcInst:
			continue
		case xml.EndElement:
			r.depth--
		default:
			return secret.Value{}, ErrFormat
		}
		break
	}
	if !attribute(el, "Protected") {
		return secret.New(text), nil
	}
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(plain, text)
	if err != nil {
		return secret.Value{}, ErrFormat
	}
	r.stream.XORKeyStream(plain[:n], plain[:n])
	return secret.New(plain[:n]), nil
}

func (r *reader) text(el xml.StartElement) (string, error) {
	v, err := r.value(el)
	defer v.Wipe()
	return string(v.Expose()), err
}

func (r *reader) meta() error {
	enabled, id := true, ""
	err := r.children(func(el xml.StartElement) (err error) {
		switch el.Name.Local {
		case "RecycleBinEnabled":
			var text string
			text, err = r.text(el)
			enabled = !strings.EqualFold(text, "false")
		case "RecycleBinUUID":
			id, err = r.text(el)
		case "Binaries": // version 3 has the attachments here
			err = r.children(r.binary)
		default:
			err = r.skip()
		}
		return err
	})
	if enabled {
		r.bin = id
	}
	return err
}

func (r *reader) binary(el xml.StartElement) error {
	v, err := r.value(el)
	if err != nil {
		return err
	}
	data := v.Expose()
	if !attribute(el, "Protected") {
		data = make([]byte, base64.StdEncoding.DecodedLen(len(v.Expose())))
		n, err := base64.StdEncoding.Decode(data, v.Expose())
		if err != nil {
			return ErrFormat
		}
		data = data[:n]
	}
	if attribute(el, "Compressed") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return ErrFormat
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxAttachment+1)); err != nil {
			return ErrFormat
		}
	}
	if len(data) > maxAttachment {
		data = nil // nobody keeps a key in that
	}
	for _, a := range el.Attr {
		if a.Name.Local == "ID" {
			r.files[a.Value] = data
		}
	}
	return nil
}

// maxAttachment is the most that is taken of an attachment: a private key is
// smaller by far.
const maxAttachment = 1 << 20

func (r *reader) group(above *group) error {
	g := &group{above: above}
	return r.children(func(el xml.StartElement) (err error) {
		switch el.Name.Local {
		case "UUID":
			g.id, err = r.text(el)
		case "Name":
			g.name, err = r.text(el)
		case "Entry":
			var e Entry
			e, err = r.entry()
			r.found, r.in = append(r.found, e), append(r.in, g)
			if err == nil && len(r.found) > maxEntries {
				err = fmt.Errorf("%w: more than %d entries", ErrLimit, maxEntries)
			}
		case "Group":
			err = r.group(g)
		default:
			err = r.skip()
		}
		return err
	})
}

// entry reads an entry, without its history.
func (r *reader) entry() (Entry, error) {
	var e Entry
	err := r.children(func(el xml.StartElement) error {
		switch el.Name.Local {
		case "String":
			return r.field(&e)
		case "Binary":
			return r.attachment(&e)
		}
		return r.skip()
	})
	return e, err
}

func (r *reader) field(e *Entry) error {
	key, v, err := r.pair()
	if err != nil {
		return err
	}
	switch key {
	case "Title":
		e.Title = string(v.Expose())
	case "UserName":
		e.Username = string(v.Expose())
	case "URL":
		e.URL = string(v.Expose())
	case "Password":
		e.Password = v
		return nil
	}
	v.Wipe()
	return nil
}

// pair reads a key and its value.
func (r *reader) pair() (key string, v secret.Value, err error) {
	err = r.children(func(el xml.StartElement) (err error) {
		switch el.Name.Local {
		case "Key":
			key, err = r.text(el)
		case "Value":
			v, err = r.value(el)
		default:
			err = r.skip()
		}
		return err
	})
	return key, v, err
}

// attachment takes a file, which stands elsewhere in the database.
func (r *reader) attachment(e *Entry) error {
	var f File
	err := r.children(func(el xml.StartElement) (err error) {
		switch el.Name.Local {
		case "Key":
			f.Name, err = r.text(el)
		case "Value":
			for _, a := range el.Attr {
				if data, ok := r.files[a.Value]; ok && a.Name.Local == "Ref" && len(data) <= maxAttachment {
					f.Data = secret.New(data) // shared by all that refer to it
				}
			}
			v, err := r.value(el)
			v.Wipe()
			return err
		default:
			err = r.skip()
		}
		return err
	})
	if !f.Data.Empty() {
		e.Files = append(e.Files, f)
	}
	return err
}
