# Installing and packaging. What goes where is here alone, and so in the packages.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
bindir := $(DESTDIR)$(PREFIX)/bin
libdir := $(DESTDIR)$(PREFIX)/lib
sharedir := $(DESTDIR)$(PREFIX)/share
etcdir := $(DESTDIR)$(SYSCONFDIR)

.PHONY: install
install: build ## install the agent, its service and documentation (DESTDIR=, PREFIX=/usr/local, SYSCONFDIR=/etc)
	install -Dm755 bin/fanlight $(bindir)/fanlight
	install -d $(libdir)/systemd/system
	sed 's|/usr/bin/fanlight|$(PREFIX)/bin/fanlight|; s|/etc/fanlight|$(SYSCONFDIR)/fanlight|' \
	  deploy/systemd/fanlight.service >$(libdir)/systemd/system/fanlight.service
	install -Dm644 deploy/systemd/sysusers.conf $(libdir)/sysusers.d/fanlight.conf
	install -Dm644 deploy/systemd/tmpfiles.conf $(libdir)/tmpfiles.d/fanlight.conf
	install -Dm644 deploy/etc/logrotate.conf $(etcdir)/logrotate.d/fanlight
	[ -e $(etcdir)/fanlight/fanlight.yaml ] || install -Dm640 deploy/etc/fanlight.yaml $(etcdir)/fanlight/fanlight.yaml
	install -Dm644 -t $(sharedir)/doc/fanlight CHANGELOG.md README.md deploy/reference.yaml
	install -Dm644 LICENSE $(sharedir)/doc/fanlight/copyright
	for page in docs/man/*.1; do [ ! -e $$page ] || install -Dm644 -t $(sharedir)/man/man1 $$page; done
	install -d $(sharedir)/bash-completion/completions $(sharedir)/zsh/site-functions $(sharedir)/fish/vendor_completions.d
	bin/fanlight completion bash >$(sharedir)/bash-completion/completions/fanlight
	bin/fanlight completion zsh >$(sharedir)/zsh/site-functions/_fanlight
	bin/fanlight completion fish >$(sharedir)/fish/vendor_completions.d/fanlight.fish
	@[ -n "$(DESTDIR)" ] || { systemd-sysusers fanlight.conf; systemd-tmpfiles --create fanlight.conf; \
	  echo "installed; name the ports in $(SYSCONFDIR)/fanlight/fanlight.yaml, then: systemctl daemon-reload && systemctl enable --now fanlight"; }

# The configuration, state and logs stay, and so does what the kernel forwards:
# that ends only by 'fanlight detach', which must come before.
.PHONY: uninstall
uninstall: ## remove what 'make install' installed, but not the configuration and not the datapath
	rm -f $(bindir)/fanlight $(libdir)/systemd/system/fanlight.service $(libdir)/sysusers.d/fanlight.conf \
	  $(libdir)/tmpfiles.d/fanlight.conf $(etcdir)/logrotate.d/fanlight $(sharedir)/man/man1/fanlight.1 $(sharedir)/man/man1/fanlight-*.1 \
	  $(sharedir)/bash-completion/completions/fanlight $(sharedir)/zsh/site-functions/_fanlight \
	  $(sharedir)/fish/vendor_completions.d/fanlight.fish
	rm -rf $(sharedir)/doc/fanlight

# As packages compare versions: v1.2.3 is 1.2.3, five commits later it is
# 1.2.3+5.g0123456, and what has no tag comes before all.
package_version := $(shell echo '$(VERSION)' | sed -E 's/^v//; s/^[^.]*$$/0.0.0~dev.&/; s/-/+/; s/-/./g')

.PHONY: package
package: ## build the deb and the rpm in dist/
	rm -rf .cache/package/root
	$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/.cache/package/root PREFIX=/usr SYSCONFDIR=/etc
	mkdir -p dist
	for kind in deb rpm; do VERSION='$(package_version)' ARCH="$$($(GO) env GOARCH)" \
	  $(GO) tool -modfile=deploy/packages/go.mod nfpm package -f deploy/packages/nfpm.yaml -p $$kind -t dist/; done

# Rules and dashboards go into the chart, which then is of one release.
.PHONY: chart
chart: ## build the Helm chart in dist/, with the alert rules and dashboards
	rm -rf .cache/chart && mkdir -p .cache/chart dist
	cp -r deploy/helm/fanlight .cache/chart/
	mkdir -p .cache/chart/fanlight/files/rules .cache/chart/fanlight/files/dashboards
	for f in dashboards/rules/*.yaml; do case $$f in *_test.yaml|*'*'*) ;; *) cp $$f .cache/chart/fanlight/files/rules/ ;; esac; done
	for f in dashboards/grafana/*.json; do [ ! -e $$f ] || cp $$f .cache/chart/fanlight/files/dashboards/; done
	sed -i 's/^\(version\|appVersion\): .*/\1: $(chart_version)/' .cache/chart/fanlight/Chart.yaml
	tar -C .cache/chart -czf dist/fanlight-chart-$(chart_version).tgz fanlight

# A chart's version is SemVer: what has no tag comes before all.
chart_version := $(subst ~,-,$(package_version))

.PHONY: image-root
image-root: build ## the files of the container image, in .cache/image
	rm -rf .cache/image
	install -Dm755 bin/fanlight .cache/image/usr/bin/fanlight
	install -Dm644 /etc/ssl/certs/ca-certificates.crt .cache/image/etc/ssl/certs/ca-certificates.crt
	install -Dm644 LICENSE .cache/image/usr/share/doc/fanlight/copyright
	install -d -m1777 .cache/image/tmp

BUILDAH ?= buildah
.PHONY: image
image: image-root ## build the container image with buildah (BUILDAH="docker" does as well)
	$(BUILDAH) build -f deploy/Containerfile -t fanlight:$(package_version) .cache/image
