//! Tests of the reporters of deploys, with events made by hand.
