-- /// oncely
-- title = "Make the table that predictions go to"
-- db = "results"
-- ///

create table predictions (
  object text not null,
  line integer not null,
  label text not null,
  score real not null
);
