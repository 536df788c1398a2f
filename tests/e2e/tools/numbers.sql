select id from generate_series(1, 5) as id
