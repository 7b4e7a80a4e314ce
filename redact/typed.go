package redact

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// checkReplacement refuses a replacement that the class's fields can't hold.
// What stands in quotes without being escaped must be a plain word or an
// address.
func checkReplacement(class Class, with string) error {
	switch {
	case class.isName():
		if with == "" {
			return fmt.Errorf("with: want a text for class %s", class)
		}
	case class.isAddress() || class.isMAC():
		if with == "" || !isIdentifier(with) && !fits(class, with) {
			return fmt.Errorf("with: %q: want an address or a word of letters, digits and underscores for class %s", with, class)
		}
	case class == Counter:
		if _, err := strconv.ParseUint(with, 10, 64); err != nil {
			return fmt.Errorf("with: %q: want a number for class %s", with, class)
		}
	}
	return nil
}

// fits reports whether the text is an address as the class has them.
func fits(class Class, text string) bool {
	if class.isMAC() {
		m, err := net.ParseMAC(text)
		return err == nil && len(m) == 6 && m.String() == text
	}
	a, err := netip.ParseAddr(text)
	return err == nil && plain(a).String() == text && a.IsMulticast() == (class == Group)
}

// checkTyped refuses what would put something else where an address belongs.
func (c Config) checkTyped() error {
	var errs []error
	for class := range numClasses {
		if !class.isAddress() && !class.isMAC() {
			continue
		}
		if profiles[c.profile()][class] == pseudonym && !c.overridden(class) {
			errs = append(errs, fmt.Errorf("typed: profile %s makes pseudonyms of class %s, and a pseudonym is no address: "+
				"use profile %s, or a rule for the class with prefix_preserving or mask", c.profile(), class, SIEMProfile))
		}
		for i, r := range c.Rules {
			if !slices.Contains(r.classes(), class) {
				continue
			}
			switch do, _ := parseAction(r.Action); {
			case do == pseudonym:
				errs = append(errs, fmt.Errorf("typed: rules[%d] makes pseudonyms of class %s, and a pseudonym is no address: use prefix_preserving or mask", i, class))
			case do == replace && !fits(class, r.With):
				errs = append(errs, fmt.Errorf("typed: rules[%d] writes %q where class %s has an address", i, r.With, class))
			}
		}
	}
	return errors.Join(errs...)
}

// overridden reports whether some rule decides about the class in every event.
func (c Config) overridden(class Class) bool {
	return slices.ContainsFunc(c.Rules, func(r Rule) bool {
		return !r.conditional() && slices.Contains(r.Classes, class.String())
	})
}
