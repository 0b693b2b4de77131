//! sallyport-starter
