//! Links: no encode or decode function can panic or allocate.

#![no_std]
#![no_main]

cortex_nostd::link_proof!(cortex_nostd::everything);
