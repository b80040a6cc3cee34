//! The OpenAPI file: that it is one, that it has every route of the server and no other, and that a
//! stranger to the server who reads nothing but the file (schemathesis) finds nothing wrong.

mod document;
mod fuzzing;
mod routes;
