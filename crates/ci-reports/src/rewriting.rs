//! The paths and the texts of facts, rewritten in one pass. It must not know what they stand for.

use super::facts::{Coverage, Facts, FailedTest, Finding, Location, Package, SonarStatus};

impl Facts {
    /// Puts another path in place of each that is named.
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

    /// Puts another text in place of each that a tool wrote for people. Other texts must stay others:
    /// files and figures of one name would be joined.
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
        // Its status is a word of a few.
        for text in self.sonar.iter_mut().flat_map(|SonarStatus { broken, .. }| broken) {
            *text = word(text);
        }
        if let Some(tests) = &mut self.tests {
            tests.flaky.iter_mut().for_each(|name| *name = word(name));
        }
        self.map_paths(&mut |path| word(path));
    }
}
