//! sallyport-worker
