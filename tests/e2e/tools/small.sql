select * from {{ ref('numbers') }} where id > {{ var('largest') }}
