mod order;
mod session;
mod world;
