//! The cache: entries under keys, blobs under digests, outputs put back exactly. It must not know of
//! tasks, trees or runs.
