//! `etm explain` says where a call goes before it is made.

mod calls;
mod conditions;
mod mistakes;
mod stage;
mod words;
