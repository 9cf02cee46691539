mod policies;
mod releases;
mod routes;
mod servers;
mod table;
