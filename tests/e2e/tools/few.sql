{{ config(severity='warn') }} select * from {{ ref('numbers') }} where id > 3
