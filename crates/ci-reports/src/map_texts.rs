//! Maps the paths and texts of facts, for example to hide secrets.

use super::facts::{Coverage, Facts, FailedTest, Finding, Location, Package, SonarStatus};

impl Facts {
    /// Replaces each path.
    pub fn map_paths(&mut self, name: &mut dyn FnMut(&str) -> String) {
        let mut spot = |spot: &mut Option<Location>| {
            if let Some(spot) = spot {
                spot.path = name(&spot.path);
            }
        };
        let failed = self.tests.iter_mut().flat_map(|tests| &mut tests.failed);
        failed.for_each(|FailedTest { place, .. }| spot(place));
        let found = self.findings.iter_mut().chain(&mut self.secrets).flatten();
        found.for_each(|Finding { place, .. }| spot(place));
        if let Some(coverage) = &mut self.coverage {
            let mut renamed = Coverage::default();
            for (path, lines) in std::mem::take(&mut coverage.files) {
                renamed.add(name(&path), &lines);
            }
            *coverage = renamed;
        }
    }

    /// Replaces each text that a tool wrote, and each path. Different texts must stay different,
    /// since files with the same name would be joined, and so would measures.
    pub fn map_texts(&mut self, word: &dyn Fn(&str) -> String) {
        let failed = self.tests.iter_mut().flat_map(|tests| &mut tests.failed);
        failed.for_each(|FailedTest { name, message, .. }| {
            *name = word(name);
            *message = word(message);
        });
        let found = self.findings.iter_mut().chain(&mut self.secrets).flatten();
        found.for_each(|Finding { tool, rule, message, accepted, .. }| {
            for text in [tool, rule, message] {
                *text = word(text);
            }
            *accepted = accepted.as_deref().map(word);
        });
        for Package { name, version, licences } in self.packages.iter_mut().flatten() {
            for text in licences.iter_mut().chain([name, version]) {
                *text = word(text);
            }
        }
        let measures = std::mem::take(&mut self.measures);
        self.measures = measures.into_iter().map(|(name, measure)| (word(&name), measure)).collect();
        // The status needs no replacement: it is one of a few fixed words.
        for text in self.sonar.iter_mut().flat_map(|SonarStatus { broken, .. }| broken) {
            *text = word(text);
        }
        if let Some(tests) = &mut self.tests {
            tests.flaky.iter_mut().for_each(|name| *name = word(name));
        }
        self.map_paths(&mut |path| word(path));
    }
}
