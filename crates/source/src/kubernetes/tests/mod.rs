mod policies;
mod servers;
mod table;
