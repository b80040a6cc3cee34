//! The OpenAPI file. It is valid, it describes exactly the server's routes, clients can be generated
//! from it, and schemathesis, which reads only the file, finds no difference.

mod document;
mod fuzzing;
mod generated;
mod routes;
