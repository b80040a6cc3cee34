//! The OpenAPI file. It is valid, it describes exactly the server's routes, and generators create
//! working clients from it. Schemathesis, which reads only the file, finds no difference.

mod document;
mod fuzzing;
mod generated;
mod routes;
