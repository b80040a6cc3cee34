//! The OpenAPI file: it is valid, it describes exactly the server's routes, and a tool that knows
//! only the file (schemathesis) finds no difference.

mod document;
mod fuzzing;
mod routes;
