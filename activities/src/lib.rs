//! sallyport-activities
