mod policies;
mod releases;
mod servers;
mod table;
