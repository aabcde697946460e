//! Resolves names across all files: the services and tasks that each task, gate and service depends on.
//! `needs.rs` resolves tasks, `overlaps.rs` compares outputs. It must not know how a service is started.

pub(crate) mod needs;
pub(crate) mod overlaps;

use std::collections::{BTreeMap, HashMap};

use crate::base::cycle;
use crate::config::config_file::ConfigFile;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink, join_names};
use crate::config::model::{ServiceId, TaskId};
use crate::config::naming::{self, NameIndex};
use crate::config::sections::drafts::{Dependencies, ServiceDraft, TaskDraft};
use crate::config::sections::variables::port_variable;
use crate::config::syntax::document::{Syntax, Text};
use crate::config::wording;

/// The dependencies of all tasks and services.
pub(crate) struct AllDependencies {
    pub(crate) tasks: Vec<Dependencies>,
    pub(crate) services: Vec<Dependencies>,
}

/// Resolves the names in all drafts.
pub(crate) struct Resolver<'l, 'd> {
    pub(crate) drafts: &'l [TaskDraft<'d>],
    pub(crate) services: &'l [ServiceDraft<'d>],
    pub(crate) config_files: &'l [ConfigFile<'d>],
    pub(crate) names: &'l NameIndex<'l>,
    pub(crate) syntax: Syntax,
}

impl Resolver<'_, '_> {
    /// Resolves all names of services and needs, and reports cycles.
    pub(crate) fn resolve(&self, sink: &mut [DiagnosticSink]) -> AllDependencies {
        let known: HashMap<String, usize> = self
            .services
            .iter()
            .enumerate()
            .map(|(at, service)| (naming::qualified(&service.draft.project, service.draft.name.text), at))
            .collect();
        let mut services: Vec<Dependencies> = Vec::with_capacity(self.services.len());
        for service in self.services {
            services.push(self.dependencies(&service.draft, Some(service), &known, sink));
        }
        let edges: Vec<Vec<usize>> = services
            .iter()
            .map(|dependencies| dependencies.services.values().map(|id| id.0).collect())
            .collect();
        match cycle::order(&edges) {
            Err(cycles) => {
                for cycle in cycles {
                    let at = &self.services[cycle[0]].draft;
                    sink[at.file].add(self.cycle_error(&cycle));
                }
            }
            Ok(order) => {
                for at in order {
                    services[at].uses = closure(&edges[at], &services);
                }
            }
        }
        let mut tasks: Vec<Dependencies> = Vec::with_capacity(self.drafts.len());
        for draft in self.drafts {
            let mut dependencies = self.dependencies(draft, None, &known, sink);
            let used: Vec<usize> = dependencies.services.values().map(|id| id.0).collect();
            dependencies.uses = closure(&used, &services);
            tasks.push(dependencies);
        }
        self.add_needs(&mut tasks, &mut services, sink);
        AllDependencies { tasks, services }
    }

    /// Resolves the services that a draft names. `own` is set if the draft belongs to a service.
    fn dependencies(
        &self,
        draft: &TaskDraft<'_>,
        own: Option<&ServiceDraft<'_>>,
        known: &HashMap<String, usize>,
        sink: &mut [DiagnosticSink],
    ) -> Dependencies {
        let mut dependencies = Dependencies::default();
        for named in self.named(draft) {
            let found = naming::enclosing_projects(&draft.project)
                .find_map(|project| known.get(&naming::qualified(project, named.text)).copied());
            match found {
                Some(at) => drop(dependencies.services.insert(named.text.to_owned(), ServiceId(at))),
                None if self.syntax == Syntax::Valid => {
                    let known =
                        self.services.iter().map(|service| service.draft.display_name()).collect::<Vec<_>>();
                    let none = "services are written as `[services.NAME]` with `run = \"…\"`";
                    let hint = wording::suggestion(named.text, known.iter().map(String::as_str), "", none);
                    let message = format!("there is no service `{}`", wording::escape_name(named.text));
                    sink[draft.file].add(
                        Diagnostic::new(named.span.clone(), message)
                            .label("unknown service")
                            .hint(hint)
                            .caused_by_missing(&["services", "include"]),
                    );
                }
                None => {}
            }
        }
        self.check_ports(draft, own, &dependencies.services, sink);
        self.check_variables(draft, own, &dependencies.services, sink);
        dependencies
    }

    /// Returns the names of services in a draft, or else in the defaults of its file.
    fn named<'n>(&'n self, draft: &'n TaskDraft<'_>) -> &'n [Text<'n>] {
        let defaults = self.config_files[draft.file].defaults.services.as_deref().filter(|_| draft.is_run());
        draft.common.services.as_deref().or(defaults).unwrap_or_default()
    }

    /// Reports placeholders for ports and folders of services that the draft doesn't use or that have no
    /// port.
    fn check_ports(
        &self,
        draft: &TaskDraft<'_>,
        own: Option<&ServiceDraft<'_>>,
        used: &BTreeMap<String, ServiceId>,
        sink: &mut [DiagnosticSink],
    ) {
        for mention in &draft.ports {
            let of_port = mention.text.strip_suffix(".port");
            let Some(name) = of_port.or_else(|| mention.text.strip_suffix(".dir")) else {
                sink[draft.file].add(
                    Diagnostic::new(
                        mention.span.clone(),
                        format!("`{{{{ services.{} }}}}` is not a placeholder", wording::escape_name(mention.text)),
                    )
                    .label("unknown placeholder")
                    .hint("write {{ services.NAME.port }} for the port of a service, {{ services.NAME.dir }} for its folder"),
                );
                continue;
            };
            let name = Text { text: name, span: mention.span.clone() };
            let itself = own.filter(|_| draft.name.text == name.text);
            let service = itself.or_else(|| used.get(name.text).map(|id| &self.services[id.0]));
            let shown = wording::escape_name(name.text);
            let (message, hint) = match service {
                Some(service) if service.port.is_some() || of_port.is_none() => continue,
                Some(_) => (
                    format!("service `{shown}` has no `port`"),
                    "add `port` to it: a number, or \"auto\"".to_owned(),
                ),
                None if self.syntax == Syntax::Broken => continue,
                None => (
                    format!("`{}` does not use a service `{shown}`", draft.display_name()),
                    format!("add it: services = [\"{shown}\"]"),
                ),
            };
            sink[draft.file].add(
                Diagnostic::new(name.span.clone(), message)
                    .label(if of_port.is_some() { "no such port" } else { "no such folder" })
                    .hint(hint)
                    .caused_by_missing(&["services", "port", "include"]),
            );
        }
    }

    /// Reports services whose ports would be passed in the same variable.
    fn check_variables(
        &self,
        draft: &TaskDraft<'_>,
        own: Option<&ServiceDraft<'_>>,
        used: &BTreeMap<String, ServiceId>,
        sink: &mut [DiagnosticSink],
    ) {
        let own = own.filter(|own| own.port.is_some()).map(|own| &own.draft.name);
        let named = self
            .named(draft)
            .iter()
            .filter(|named| used.get(named.text).is_some_and(|id| self.services[id.0].port.is_some()));
        let mut names_by_variable: BTreeMap<String, &Text<'_>> = BTreeMap::new();
        for name in own.into_iter().chain(named) {
            let variable = port_variable(name.text);
            let Some(first) = names_by_variable.get(&variable).filter(|first| first.text != name.text) else {
                names_by_variable.insert(variable, name);
                continue;
            };
            let (one, other) = (wording::escape_name(first.text), wording::escape_name(name.text));
            sink[draft.file].add(
                Diagnostic::new(
                    name.span.clone(),
                    format!("the ports of services `{one}` and `{other}` would both be `{variable}`"),
                )
                .label("the same variable")
                .other(first.span.clone(), "one of them")
                .hint("rename one of the services, so that they differ in letters or digits"),
            );
        }
    }

    /// Resolves the needs of all drafts. Tasks also get the needs of the services that they use.
    fn add_needs(
        &self,
        tasks: &mut [Dependencies],
        services: &mut [Dependencies],
        sink: &mut [DiagnosticSink],
    ) {
        let mut resolve = |draft: &TaskDraft<'_>, itself| {
            let found = &mut sink[draft.file];
            match &draft.gate {
                Some(gate) => needs::gate_sources(gate, draft, self.drafts, self.names, self.syntax, found),
                None => needs::resolve(draft, itself, self.names, self.syntax, found),
            }
        };
        let of_services: Vec<Vec<usize>> =
            self.services.iter().map(|service| resolve(&service.draft, None)).collect();
        let own: Vec<Vec<usize>> =
            self.drafts.iter().enumerate().map(|(task, draft)| resolve(draft, Some(task))).collect();
        let all: Vec<Vec<usize>> = own
            .into_iter()
            .zip(tasks.iter())
            .map(|(mut needs, dependencies)| {
                needs.extend(dependencies.uses.iter().flat_map(|id| &of_services[id.0]));
                needs.sort_unstable();
                needs.dedup();
                needs
            })
            .collect();
        if let Err(cycles) = cycle::order(&all) {
            for cycle in cycles {
                let finding = needs::cycle_error(&cycle, self.drafts, self.names);
                sink[self.drafts[cycle[0]].file].add(finding);
            }
        }
        let ids = |needs: Vec<usize>| needs.into_iter().map(TaskId).collect();
        for (dependencies, needs) in tasks.iter_mut().zip(all) {
            dependencies.needs = ids(needs);
        }
        for (dependencies, needs) in services.iter_mut().zip(of_services) {
            dependencies.needs = ids(needs);
        }
    }

    fn cycle_error(&self, cycle: &[usize]) -> Diagnostic {
        let turn = cycle.iter().chain(cycle.first());
        let path: Vec<String> = turn.map(|at| self.services[*at].draft.display_name()).collect();
        let message = format!("services use each other in a cycle: {}", join_names(&path));
        let draft = &self.services[cycle[0]].draft;
        let span = self.named(draft).first().unwrap_or(&draft.name).span.clone();
        Diagnostic::new(span, message).label("closes the cycle").hint("remove one of these uses")
    }
}

/// Returns these services and all that they use, each after those it uses. `services` already has this
/// closure for each of them.
fn closure(used: &[usize], services: &[Dependencies]) -> Vec<ServiceId> {
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
