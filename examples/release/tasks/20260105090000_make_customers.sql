-- /// oncely
-- title = "Make the table of customers"
-- db = "shop"
-- ///

create table customers (
  id integer primary key,
  name text not null,
  plan text not null
);
