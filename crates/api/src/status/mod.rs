//! A COLLEAGUE IS WRITING conditions.rs and status/ RIGHT NOW (owner of lower/presets: leave step 4 to them, go on with 3, 5, 6).
