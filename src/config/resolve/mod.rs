//! Which services tasks and services use, and what they need through them. It must not know what a
//! service is started by.

pub(crate) mod needs;
pub(crate) mod overlaps;

use std::collections::{BTreeMap, HashMap};

use crate::base::cycle;
use crate::config::config_file::Part;
use crate::config::diagnostic::{Diagnostic, Findings, row};
use crate::config::model::{ServiceId, TaskId};
use crate::config::naming::{self, Names};
use crate::config::schema::keys;
use crate::config::sections::drafts::{Draft, Links, ServiceDraft};
use crate::config::sections::variables::port_variable;
use crate::config::syntax::document::{Extent, Text};

/// What all tasks and services need and use.
pub(crate) struct Linked {
    pub(crate) tasks: Vec<Links>,
    pub(crate) services: Vec<Links>,
}

/// All that links are made of.
pub(crate) struct Linking<'l, 'd> {
    pub(crate) drafts: &'l [Draft<'d>],
    pub(crate) services: &'l [ServiceDraft<'d>],
    pub(crate) parts: &'l [Part<'d>],
    pub(crate) names: &'l Names<'l>,
    pub(crate) extent: Extent,
}

impl Linking<'_, '_> {
    /// Resolves all names of services and needs, and reports circles among them.
    pub(crate) fn resolve(&self, findings: &mut [Findings]) -> Linked {
        let known: HashMap<String, usize> = self
            .services
            .iter()
            .enumerate()
            .map(|(at, service)| (naming::joined(&service.draft.project, service.draft.name.text), at))
            .collect();
        let mut services: Vec<Links> = Vec::with_capacity(self.services.len());
        for service in self.services {
            services.push(self.links((&service.draft, Some(service)), &known, findings));
        }
        let edges: Vec<Vec<usize>> =
            services.iter().map(|links| links.services.values().map(|id| id.0).collect()).collect();
        match cycle::order(&edges) {
            Err(circles) => {
                for circle in circles {
                    let at = &self.services[circle[0]].draft;
                    findings[at.file].add(self.round(&circle));
                }
            }
            Ok(order) => {
                for at in order {
                    services[at].uses = closure(&edges[at], &services);
                }
            }
        }
        let mut tasks: Vec<Links> = Vec::with_capacity(self.drafts.len());
        for draft in self.drafts {
            let mut links = self.links((draft, None), &known, findings);
            let used: Vec<usize> = links.services.values().map(|id| id.0).collect();
            links.uses = closure(&used, &services);
            tasks.push(links);
        }
        self.add_needs(&mut tasks, &mut services, findings);
        Linked { tasks, services }
    }

    /// The services that a draft names, which may be a service's own.
    fn links(
        &self,
        (draft, own): (&Draft<'_>, Option<&ServiceDraft<'_>>),
        known: &HashMap<String, usize>,
        findings: &mut [Findings],
    ) -> Links {
        let mut links = Links::default();
        for named in self.named(draft) {
            let found = naming::scopes(&draft.project)
                .find_map(|project| known.get(&naming::joined(project, named.text)).copied());
            match found {
                Some(at) => drop(links.services.insert(named.text.to_owned(), ServiceId(at))),
                None if self.extent == Extent::Whole => {
                    let known = self.services.iter().map(|service| service.draft.shown()).collect::<Vec<_>>();
                    let none = "services are written as `[services.NAME]` with `run = \"…\"`";
                    let hint = keys::suggestion(named.text, known.iter().map(String::as_str), ("", none));
                    let message = format!("there is no service `{}`", keys::shown(named.text));
                    findings[draft.file].add(
                        Diagnostic::new(named.span.clone(), message)
                            .label("unknown service")
                            .hint(hint)
                            .lacks(&["services", "include"]),
                    );
                }
                None => {}
            }
        }
        self.check_ports((draft, own), &links.services, findings);
        self.check_variables((draft, own), &links.services, findings);
        links
    }

    /// The names of services that a draft or its file's defaults give.
    fn named<'n>(&'n self, draft: &'n Draft<'_>) -> &'n [Text<'n>] {
        let defaults = self.parts[draft.file].defaults.services.as_deref().filter(|_| draft.is_run());
        draft.shared.services.as_deref().or(defaults).unwrap_or_default()
    }

    /// Reports ports and folders of services that are not there to be put in.
    fn check_ports(
        &self,
        (draft, own): (&Draft<'_>, Option<&ServiceDraft<'_>>),
        used: &BTreeMap<String, ServiceId>,
        findings: &mut [Findings],
    ) {
        for mention in &draft.ports {
            let of_port = mention.text.strip_suffix(".port");
            let Some(name) = of_port.or_else(|| mention.text.strip_suffix(".dir")) else {
                findings[draft.file].add(
                    Diagnostic::new(
                        mention.span.clone(),
                        format!("`{{{{ services.{} }}}}` stands for nothing", keys::shown(mention.text)),
                    )
                    .label("not a port")
                    .hint("write {{ services.NAME.port }} for the port of a service, {{ services.NAME.dir }} for its folder"),
                );
                continue;
            };
            let name = Text { text: name, span: mention.span.clone() };
            let itself = own.filter(|_| draft.name.text == name.text);
            let service = itself.or_else(|| used.get(name.text).map(|id| &self.services[id.0]));
            let shown = keys::shown(name.text);
            let (message, hint) = match service {
                Some(service) if service.port.is_some() || of_port.is_none() => continue,
                Some(_) => (
                    format!("service `{shown}` has no `port`"),
                    "add `port` to it: a number, or \"auto\"".to_owned(),
                ),
                None if self.extent == Extent::Broken => continue,
                None => (
                    format!("`{}` does not use a service `{shown}`", draft.shown()),
                    format!("add it: services = [\"{shown}\"]"),
                ),
            };
            findings[draft.file].add(
                Diagnostic::new(name.span.clone(), message)
                    .label(if of_port.is_some() { "no such port" } else { "no such folder" })
                    .hint(hint)
                    .lacks(&["services", "port", "include"]),
            );
        }
    }

    /// Reports services whose ports would be told by the same variable.
    fn check_variables(
        &self,
        (draft, own): (&Draft<'_>, Option<&ServiceDraft<'_>>),
        used: &BTreeMap<String, ServiceId>,
        findings: &mut [Findings],
    ) {
        let own = own.filter(|own| own.port.is_some()).map(|own| &own.draft.name);
        let named = self
            .named(draft)
            .iter()
            .filter(|named| used.get(named.text).is_some_and(|id| self.services[id.0].port.is_some()));
        let mut told: BTreeMap<String, &Text<'_>> = BTreeMap::new();
        for name in own.into_iter().chain(named) {
            let variable = port_variable(name.text);
            let Some(first) = told.get(&variable).filter(|first| first.text != name.text) else {
                told.insert(variable, name);
                continue;
            };
            let (one, other) = (keys::shown(first.text), keys::shown(name.text));
            findings[draft.file].add(
                Diagnostic::new(
                    name.span.clone(),
                    format!("the ports of services `{one}` and `{other}` would both be `{variable}`"),
                )
                .label("the same variable")
                .other(first.span.clone(), "one of them")
                .hint("rename one of the services, so that they differ in more than case and signs"),
            );
        }
    }

    /// Adds what each needs, and what the services that it uses need.
    fn add_needs(&self, tasks: &mut [Links], services: &mut [Links], findings: &mut [Findings]) {
        let mut resolve = |draft: &Draft<'_>, itself| {
            let (known, found) = ((self.names, self.extent), &mut findings[draft.file]);
            match &draft.gate {
                Some(gate) => needs::sources(gate, draft, self.drafts, known, found),
                None => needs::of(draft, itself, known, found),
            }
        };
        let of_services: Vec<Vec<usize>> =
            self.services.iter().map(|service| resolve(&service.draft, None)).collect();
        let own: Vec<Vec<usize>> =
            self.drafts.iter().enumerate().map(|(task, draft)| resolve(draft, Some(task))).collect();
        let all: Vec<Vec<usize>> = own
            .into_iter()
            .zip(tasks.iter())
            .map(|(mut needs, links)| {
                needs.extend(links.uses.iter().flat_map(|id| &of_services[id.0]));
                needs.sort_unstable();
                needs.dedup();
                needs
            })
            .collect();
        if let Err(circles) = cycle::order(&all) {
            for circle in circles {
                let finding = needs::round(&circle, self.drafts, self.names);
                findings[self.drafts[circle[0]].file].add(finding);
            }
        }
        let ids = |needs: Vec<usize>| needs.into_iter().map(TaskId).collect();
        for (links, needs) in tasks.iter_mut().zip(all) {
            links.needs = ids(needs);
        }
        for (links, needs) in services.iter_mut().zip(of_services) {
            links.needs = ids(needs);
        }
    }

    fn round(&self, circle: &[usize]) -> Diagnostic {
        let turn = circle.iter().chain(circle.first());
        let path: Vec<String> = turn.map(|at| self.services[*at].draft.shown()).collect();
        let message = format!("services use each other in a circle: {}", row(&path));
        let draft = &self.services[circle[0]].draft;
        let span = self.named(draft).first().unwrap_or(&draft.name).span.clone();
        Diagnostic::new(span, message).label("leads back").hint("take one of these uses out")
    }
}

/// Services and all that they use, each behind those it uses; `services` knows what each of these
/// uses already.
fn closure(used: &[usize], services: &[Links]) -> Vec<ServiceId> {
    let mut all: Vec<ServiceId> = Vec::new();
    for at in used {
        for id in services[*at].uses.iter().copied().chain([ServiceId(*at)]) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
    }
    all
}
