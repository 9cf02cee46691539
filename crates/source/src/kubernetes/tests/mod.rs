mod policies;
mod routes;
mod servers;
mod table;
