mod servers;
mod table;
