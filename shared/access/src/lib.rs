//! Who somebody is and which posts he or she holds.
//!
//! A token names a person and one office, never a role: what the person may do
//! follows from the authorisations that are live on the day.

pub mod certificates;
pub mod door;
pub mod passwords;
pub mod people;
pub mod policy;
pub mod second_factor;
pub mod sessions;
pub mod tokens;

pub use people::{PEOPLE, PeopleView, PersonRow};
pub use policy::{Matter, Post, Standing, Subject};
pub use tokens::{Claims, Tokens};
